/* What a download decides without a server: what an ETag proves, which ranges there are, where a file may go. */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/fsuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "s3.h"
/* What asks the server, but where a test has an answer of its own. */
int ask_server(struct s3 *s, const struct s3_get *g, struct s3_object_info *o, struct err *e);
#define s3_get(...) ask_server(__VA_ARGS__)
#include "../lib/s3_get.c"
#undef s3_get
/* A file system that cannot rename without replacing. */
static int old_rename;

static long
old_renameat2(long number, int from, const char *name, int to, const char *other, unsigned flags)
{
	if (old_rename) {
		errno = EINVAL;
		return -1;
	}
	return syscall(number, from, name, to, other, flags);
}
#define syscall old_renameat2
#include "../lib/private.c"
#undef syscall
#include "download_dest.h"
#include "download_etag.h"
#include "download_layout.h"
#include "download_state.h"
#include "test.h"

#define MIB (1024 * 1024ULL)

static void
test_content_range(void)
{
	static const char *const bad[] = {"", "bytes", "bytes 0-4", "bytes 0-4/", "bytes 0-4/*", "bytes */5", "bytes 5-4/9", "bytes 0-5/5",
		"bytes -4/5", "bytes 0-/5", "bytes 0 -4/5", "bytes 0-4/5 ", "bytes 0-4/5x", "Bytes 0-4/5", "bytes=0-4/5", "bytes +0-4/5",
		"bytes 0-4/99999999999999999999", "bytes 0-9999999999999999999/5", "items 0-4/5"};
	uint64_t first, last, size;

	check_int(parse_content_range("bytes 0-4/5", &first, &last, &size), 0);
	check_int(first, 0);
	check_int(last, 4);
	check_int(size, 5);
	check_int(parse_content_range("bytes 123456789012-223456789012/999999999999999999", &first, &last, &size), 0);
	check_int(first, 123456789012);
	check_int(last, 223456789012);
	check_int(size, 999999999999999999);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		if (parse_content_range(bad[i], &first, &last, &size) == 0)
			check_str(bad[i], "refused");
	check_int(parse_content_range(NULL, &first, &last, &size), -1);
}

static int
reply_is(struct get *x, int status, const char *content_range, int64_t length, uint64_t *end)
{
	struct s3_call c = {.range = NULL};
	struct http_reply rp = {.status = status, .length = length, .nfields = content_range ? 1 : 0,
		.fields = {{"content-range", content_range}}};
	struct err e;
	uint64_t size;

	ask(x, &c);
	return check_reply(x, &c, &rp, &size, end, &e);
}

static void
test_reply(void)
{
	struct s3_get all = {0}, some = {.from = 100, .len = 50}, begin = {.len = 50};
	struct get x = {.g = &all};
	uint64_t end;

	check_int(reply_is(&x, 200, NULL, 1000, &end), 0);
	check_int(end, 1000);
	check_int(reply_is(&x, 200, NULL, -1, &end), 0);
	check(end == UINT64_MAX);
	check_int(reply_is(&x, 206, "bytes 0-999/1000", 1000, &end), -1);
	check_int(reply_is(&x, 204, NULL, 0, &end), -1);
	/* After a part of it has come, only the rest will do. */
	x.at = 400;
	check_int(reply_is(&x, 206, "bytes 400-999/1000", 600, &end), 0);
	check_int(end, 1000);
	check_int(reply_is(&x, 206, "bytes 400-999/1000", -1, &end), 0);
	check_int(reply_is(&x, 206, "bytes 399-999/1000", 601, &end), -1);
	check_int(reply_is(&x, 206, "bytes 400-998/1000", 599, &end), -1);
	check_int(reply_is(&x, 206, "bytes 400-999/1000", 599, &end), -1);
	check_int(reply_is(&x, 206, NULL, 600, &end), -1);
	check_int(reply_is(&x, 200, NULL, 1000, &end), -1);
	x = (struct get){.g = &some, .at = 100};
	check_int(reply_is(&x, 206, "bytes 100-149/1000", 50, &end), 0);
	check_int(end, 150);
	check_int(reply_is(&x, 206, "bytes 100-119/120", 20, &end), 0);
	check_int(reply_is(&x, 206, "bytes 100-119/1000", 20, &end), -1);
	check_int(reply_is(&x, 206, "bytes 100-150/1000", 51, &end), -1);
	check_int(reply_is(&x, 200, NULL, 50, &end), -1);
	/* All of a small object in place of its beginning. */
	x = (struct get){.g = &begin};
	check_int(reply_is(&x, 200, NULL, 50, &end), 0);
	check_int(reply_is(&x, 200, NULL, 20, &end), 0);
	check_int(reply_is(&x, 200, NULL, 51, &end), -1);
}

static void
test_etag(void)
{
	static const char *const none[] = {"", "d41d8cd98f00b204e9800998ecf8427", "d41d8cd98f00b204e9800998ecf8427ez",
		"g41d8cd98f00b204e9800998ecf8427e", "d41d8cd98f00b204e9800998ecf8427e-", "d41d8cd98f00b204e9800998ecf8427e-0",
		"d41d8cd98f00b204e9800998ecf8427e-01", "d41d8cd98f00b204e9800998ecf8427e-10001", "d41d8cd98f00b204e9800998ecf8427e-+5",
		"d41d8cd98f00b204e9800998ecf8427e-5x", "d41d8cd98f00b204e9800998ecf8427e-999999999999", "d41d8cd98f00b204e9800998ecf8427e_5"};
	struct download_etag x;

	check(download_etag_parse(&x, "d41d8cd98f00b204e9800998ecf8427e"));
	check_int(x.parts, 0);
	check_int(x.md5[0], 0xd4);
	check_int(x.md5[15], 0x7e);
	check(download_etag_parse(&x, "D41D8CD98F00B204E9800998ECF8427E-10000"));
	check_int(x.parts, 10000);
	for (size_t i = 0; i < sizeof none / sizeof *none; i++)
		if (download_etag_parse(&x, none[i]))
			check_str(none[i], "refused");
}

static int
among(uint64_t want, uint64_t size, unsigned parts)
{
	uint64_t sizes[DOWNLOAD_SIZES_MAX];
	unsigned n = download_part_sizes(size, parts, sizes);

	for (unsigned i = 0; i < n; i++) {
		check(download_parts_fit(size, parts, sizes[i]));
		for (unsigned k = 0; k < i; k++)
			check(sizes[k] != sizes[i]);
	}
	for (unsigned i = 0; i < n; i++)
		if (sizes[i] == want)
			return 1;
	return 0;
}

static void
test_part_sizes(void)
{
	check(download_parts_fit(10, 2, 5));
	check(download_parts_fit(11, 3, 5));
	check(!download_parts_fit(10, 3, 5));
	check(!download_parts_fit(10, 1, 5));
	check(!download_parts_fit(10, 2, 0));
	check(download_parts_fit(0, 1, 5));
	check(download_parts_fit(UINT64_MAX, 1, UINT64_MAX));
	check(among(50 * MIB, 101 * MIB, 3));
	check(among(8 * MIB, 101 * MIB, 13));
	check(among(8000000, 79 * MIB, 11));
	check(among(5 * MIB, 5 * MIB + 1, 2));
	check(among(7 * MIB, 70000 * MIB - 5, 10000));
	check(among(777, 777, 1));
	check(among(34, 100, 3));
	check(!among(50 * MIB, 101 * MIB, 4));
	check(among(1, 0, 1));
	/* Twelve parts of ten bytes each cannot be. */
	check_int(download_part_sizes(10, 12, (uint64_t[DOWNLOAD_SIZES_MAX]){0}), 0);
}

/* data in pieces of step bytes: is it the ETag's? */
static int
sum_is(const char *etag, uint64_t part, const char *data, size_t n, size_t step)
{
	struct download_sum s;
	struct download_etag x;

	check(download_etag_parse(&x, etag));
	download_sum_init(&s, part);
	for (size_t at = 0; at < n; at += step)
		download_sum_update(&s, data + at, n - at < step ? n - at : step);
	download_sum_end(&s);
	return download_sum_is(&s, &x);
}

/* Computed by: for p in abcd ef; do printf $p | md5sum | cut -c1-32; done | xxd -r -p | md5sum */
static void
test_sum(void)
{
	for (size_t step = 1; step <= 10; step++) {
		check(sum_is("e80b5017098950fc58aad83c8c14978e", 0, "abcdef", 6, step));
		check(!sum_is("e80b5017098950fc58aad83c8c14978f", 0, "abcdef", 6, step));
		check(sum_is("fa40dffba3d56c6098e0477379f300bd-2", 4, "abcdef", 6, step));
		check(!sum_is("fa40dffba3d56c6098e0477379f300bd-2", 5, "abcdef", 6, step));
		check(sum_is("6c67d992fc6f859180241eb4fd4abf98-3", 2, "abcdef", 6, step));
	}
	check(sum_is("d41d8cd98f00b204e9800998ecf8427e", 0, "", 0, 1));
	check(sum_is("59adb24ef3cdbe0297f05b395827453f-1", 1, "", 0, 1));
}

/* The ranges are the object, each byte once, in order within their lanes; 0 when not. */
static int
tiles(const struct download_layout *l)
{
	uint64_t at = 0, from;

	for (unsigned i = 0; i < l->nranges; i++) {
		uint64_t len = download_layout_range(l, i, &from);

		if (len && from != at)
			return 0;
		if (l->lanes_per > 1 || l->per_lane == 1) {
			if (from % l->lane || len > l->range)
				return 0;
		} else if (len && from / l->lane != i / l->per_lane) {
			return 0;
		}
		at += len;
	}
	return at == l->size;
}

/* Each range is asked for once; where lanes are cut, the first nlanes of them are one of each lane. */
static int
in_turns(const struct download_layout *l)
{
	static unsigned char seen[DOWNLOAD_RANGES_MAX];

	memset(seen, 0, sizeof seen);
	for (unsigned n = 0; n < l->nranges; n++) {
		unsigned i = download_layout_nth(l, n);

		if (i >= l->nranges || seen[i]++)
			return 0;
		if (l->per_lane > 1 && n < l->nlanes && i != n * l->per_lane)
			return 0;
	}
	return 1;
}

static void
choose(uint64_t size, unsigned parts, uint64_t part, uint64_t want, unsigned workers)
{
	struct download_layout l, again;

	check_int(download_layout_choose(&l, &(struct download_wish){size, parts, part, want, workers}), 0);
	check(tiles(&l));
	check(in_turns(&l));
	check(l.nranges >= 1 && l.nranges <= DOWNLOAD_RANGES_MAX);
	check(l.per_lane == 1 || l.lanes_per == 1);
	check_int(download_layout_set(&again, size, parts, l.lane, l.range), 0);
	check(!memcmp(&l, &again, sizeof l));
}

static void
test_layout(void)
{
	static const uint64_t sizes[] = {0, 1, 65535, 65536, 65537, 8 * MIB - 1, 8 * MIB, 8 * MIB + 1, 100 * MIB + 7, 5 << 20, 3ULL << 40};
	struct download_layout l;

	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
		for (uint64_t want = 65536; want < 1ULL << 33; want *= 8) {
			choose(sizes[i], 0, 0, want, 8);
			for (unsigned parts = 1; parts <= 10000; parts = parts * 3 + 1) {
				uint64_t part = sizes[i] ? (sizes[i] - 1) / parts + 1 : 1;

				if (download_parts_fit(sizes[i], parts, part))
					choose(sizes[i], parts, part, want, 8);
			}
		}
	/* One request for what is small; whole parts; tiny parts together; pieces of parts that are too few. */
	download_layout_choose(&l, &(struct download_wish){.size = 8 * MIB, .want = 8 * MIB, .workers = 8});
	check_int(l.nranges, 1);
	download_layout_choose(&l, &(struct download_wish){.size = 100 * MIB, .want = 8 * MIB, .workers = 8});
	check_int(l.nranges, 13);
	check_int(l.per_lane, 13);
	download_layout_choose(&l, &(struct download_wish){1000 * MIB, 20, 50 * MIB, 8 * MIB, 8});
	check_int(l.nranges, 20);
	check_int(l.per_lane, 1);
	download_layout_choose(&l, &(struct download_wish){100 * MIB, 100, MIB, 8 * MIB, 8});
	check_int(l.nranges, 13);
	check_int(l.lanes_per, 8);
	download_layout_choose(&l, &(struct download_wish){100 * MIB, 2, 50 * MIB, 8 * MIB, 8});
	check_int(l.nranges, 14);
	check_int(l.per_lane, 7);
	/* What an old temporary file may say. */
	check_int(download_layout_set(&l, 100, 0, 100, 0), -1);
	check_int(download_layout_set(&l, 100, 0, 0, 10), -1);
	check_int(download_layout_set(&l, 100, 0, 99, 10), -1);
	check_int(download_layout_set(&l, 100, 0, UINT64_MAX, 10), -1);
	check_int(download_layout_set(&l, 100, 1, 101, 10), -1);
	check_int(download_layout_set(&l, 100, 3, 50, 50), -1);
	check_int(download_layout_set(&l, 100, 2, 50, 75), -1);
	check_int(download_layout_set(&l, 100, 2, 50, UINT64_MAX / 50 * 50), -1);
	check_int(download_layout_set(&l, 100 * MIB, 0, 100 * MIB, 1), -1);
	check_int(download_layout_set(&l, 100, 2, 50, 7), 0);
	check_int(l.nranges, 16);
	check(tiles(&l));
}

static void
test_names(void)
{
	static const char *const good[] = {"a", "a/b", "...", "a/.b", "..a", "a..", " ", "\n", "a/b/", "\\..\\x", "-", "\303\251"};
	static const char *const bad[] = {"", ".", "..", "/", "/a", "a//b", "a/./b", "a/../b", "../a", "a/..", "a/../", "a/.", "//", "./", "../"};
	char longest[2 * NAME_MAX + 8];
	struct err e;

	for (size_t i = 0; i < sizeof good / sizeof *good; i++)
		if (download_dest_check(good[i], &e) < 0)
			check_str(good[i], e.msg);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		if (download_dest_check(bad[i], &e) == 0)
			check_str(bad[i], "refused");
	memset(longest, 'x', sizeof longest);
	longest[NAME_MAX] = '\0';
	check_int(download_dest_check(longest, &e), 0);
	longest[NAME_MAX] = '/';
	longest[2 * NAME_MAX + 1] = '\0';
	check_int(download_dest_check(longest, &e), 0);
	longest[2 * NAME_MAX + 1] = 'x';
	longest[2 * NAME_MAX + 2] = '\0';
	check_int(download_dest_check(longest, &e), -1);
	check(strstr(e.msg, "255"));
}

static void
write_file(int dir, const char *name, const char *text)
{
	int fd = openat(dir, name, O_WRONLY | O_CREAT | O_TRUNC, 0644);

	check(write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	close(fd);
}

static const char *
read_file(int dir, const char *name)
{
	static char text[64];
	int fd = openat(dir, name, O_RDONLY);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);

	close(fd);
	text[n > 0 ? n : 0] = '\0';
	return n < 0 ? "(none)" : text;
}

static void
test_places(int root)
{
	struct download_dest d;
	struct stat st;
	struct err e;

	check_int(download_dest_open(&d, root, "a/b/c", &e), 0);
	check_str(d.name, "c");
	check_int(download_dest_stat(&d, &st, &e), 0);
	download_dest_close(&d);
	check_int(fstatat(root, "a/b", &st, 0), 0);
	check_int(download_dest_open(&d, root, "a/b/", &e), 0);
	check_str(d.name, "");
	check(!d.made);
	download_dest_close(&d);
	check_int(download_dest_open(&d, root, "a/new/", &e), 0);
	check(d.made);
	download_dest_close(&d);
	check_int(symlinkat("a", root, "link"), 0);
	check_int(download_dest_open(&d, root, "link/x", &e), -1);
	check(strstr(e.msg, "symbolic link"));
	download_dest_close(&d);
	write_file(root, "file", "x");
	check_int(download_dest_open(&d, root, "file/x", &e), -1);
	check(strstr(e.msg, "a file"));
	download_dest_close(&d);
	check_int(download_dest_open(&d, root, "a", &e), 0);
	check_int(download_dest_stat(&d, &st, &e), -1);
	check(strstr(e.msg, "directory"));
	download_dest_close(&d);
	download_dest_close(&d);
}

static void
test_temp(int root)
{
	struct download_dest a, b;
	struct download_final f = {.size = 3, .modified = 1000000000};
	struct stat st;
	struct err e;

	check_int(download_dest_open(&a, root, "t", &e), 0);
	check_int(download_dest_open(&b, root, "t", &e), 0);
	check_int(download_dest_temp(&a, "01234567", &e), 0);
	check_str(a.temp, ".t.r2-01234567");
	check(a.lasting);
	/* The second one has its own. */
	check_int(download_dest_temp(&b, "01234567", &e), 0);
	check(!b.lasting && strcmp(a.temp, b.temp));
	check(write(a.fd, "one, and a tail", 15) == 15 && write(b.fd, "two", 3) == 3);
	check_int(download_dest_commit(&a, &f, &e), 0);
	check_str(read_file(root, "t"), "one");
	check(fstatat(root, "t", &st, 0) == 0 && st.st_mtime == 1000000000);
	/* Nothing is replaced unless it may be. */
	check_int(download_dest_commit(&b, &f, &e), 1);
	check_str(read_file(root, "t"), "one");
	/* A directory is not the file that may stay in its place. */
	check_int(renameat(root, "t", root, "aside"), 0);
	check_int(mkdirat(root, "t", 0700), 0);
	check_int(download_dest_commit(&b, &f, &e), -1);
	check(strstr(e.msg, "there is a directory of this name"));
	check_int(unlinkat(root, "t", AT_REMOVEDIR), 0);
	check_int(renameat(root, "aside", root, "t"), 0);
	f.replace = 1;
	check_int(download_dest_commit(&b, &f, &e), 0);
	check_str(read_file(root, "t"), "two");
	/* What somebody else put in the temporary file's place is not renamed. */
	check_int(download_dest_temp(&a, "01234567", &e), 0);
	check_int(unlinkat(root, a.temp, 0), 0);
	write_file(root, a.temp, "bad");
	check_int(download_dest_commit(&a, &f, &e), -1);
	check_str(read_file(root, "t"), "two");
	download_dest_drop(&a);
	check_str(read_file(root, ".t.r2-01234567"), "(none)");
	/* Nor is a link followed, or a file with another name written to. */
	check_int(symlinkat("t", root, ".t.r2-01234567"), 0);
	check_int(download_dest_temp(&a, "01234567", &e), 0);
	check(!a.lasting);
	download_dest_drop(&a);
	check_int(unlinkat(root, ".t.r2-01234567", 0), 0);
	check_int(linkat(root, "t", root, ".t.r2-01234567", 0), 0);
	check_int(download_dest_temp(&a, "01234567", &e), 0);
	check(!a.lasting);
	download_dest_drop(&a);
	check_str(read_file(root, "t"), "two");
	check_int(unlinkat(root, ".t.r2-01234567", 0), 0);
	/* One that cannot be opened at all, as another user's, is in nobody's way. */
	check_int(mkdirat(root, ".t.r2-01234567", 0700), 0);
	check_int(download_dest_temp(&a, "01234567", &e), 0);
	check(!a.lasting);
	download_dest_drop(&a);
	check_int(unlinkat(root, ".t.r2-01234567", AT_REMOVEDIR), 0);
	download_dest_close(&a);
	download_dest_close(&b);
}

/* What gets that were killed have left goes with the next one that succeeds; what another one writes to stays. */
static void
test_left(int root)
{
	struct download_final f = {.size = 3, .replace = 1};
	struct download_dest a, b, c;
	struct err e;

	check_int(download_dest_open(&a, root, "l", &e), 0);
	check_int(download_dest_open(&b, root, "l", &e), 0);
	check_int(download_dest_open(&c, root, "l", &e), 0);
	for (int i = 0; i < 2; i++) {
		check_int(download_dest_temp(&a, "01234567", &e), 0);
		check_int(download_dest_temp(&b, "01234567", &e), 0);
		check_int(download_dest_temp(&c, "01234567", &e), 0);
		check(a.lasting && !b.lasting && !c.lasting);
		check(strlen(b.temp) == strlen(a.temp) && strcmp(b.temp, c.temp));
		close(b.fd);
		check_int(write(a.fd, "one", 3), 3);
		check_int(download_dest_commit(&a, &f, &e), 0);
		if (i == 0)
			close(c.fd);
		download_dest_sweep(&a, "01234567");
		check_str(read_file(root, "l"), "one");
		check_str(read_file(root, b.temp), "(none)");
		check_str(read_file(root, c.temp), i ? "" : "(none)");
	}
	check_int(write(c.fd, "two", 3), 3);
	check_int(download_dest_commit(&c, &f, &e), 0);
	b.fd = -1;
	download_dest_close(&a);
	download_dest_close(&b);
	download_dest_close(&c);
}

/* As over NFS with root_squash, where what root makes is another user's. */
static void
test_other_owner(const char *path, int root)
{
	struct download_final f = {.size = 4, .replace = 1};
	struct download_dest d;
	struct stat st;
	struct err e;

	if (geteuid() != 0)
		return;
	check_int(chmod(path, 0777), 0);
	setfsuid(65534);
	check_int(download_dest_open(&d, root, "o", &e), 0);
	check_int(download_dest_temp(&d, "01234567", &e), 0);
	check(d.lasting);
	check(write(d.fd, "left", 4) == 4);
	download_dest_close(&d);
	/* … and goes on with it, and leaves nothing. */
	check_int(download_dest_open(&d, root, "o", &e), 0);
	write_file(root, "o", "old");
	check_int(fchmodat(root, "o", 0600, 0), 0);
	check_int(download_dest_temp(&d, "01234567", &e), 0);
	check(d.lasting);
	check_int(download_dest_commit(&d, &f, &e), 0);
	check_str(read_file(root, "o"), "left");
	check(fstatat(root, "o", &st, 0) == 0 && (st.st_mode & 0777) == 0600);
	check_str(read_file(root, ".o.r2-01234567"), "(none)");
	download_dest_close(&d);
	setfsuid(0);
	/* The same file is none of ours where what we make is. */
	check_int(download_dest_open(&d, root, "o", &e), 0);
	write_file(root, ".o.r2-01234567", "his");
	check_int(fchownat(root, ".o.r2-01234567", 65534, 65534, 0), 0);
	check_int(download_dest_temp(&d, "01234567", &e), 0);
	check(!d.lasting);
	download_dest_drop(&d);
	check_str(read_file(root, ".o.r2-01234567"), "his");
	download_dest_close(&d);
}

static void
test_long_temp(int root)
{
	char name[NAME_MAX + 1];
	struct download_dest d;
	struct err e;

	memset(name, 'x', NAME_MAX);
	name[NAME_MAX] = '\0';
	/* A character of two bytes where the name has to be cut. */
	memcpy(name + NAME_MAX - 15, "\303\251", 2);
	check_int(download_dest_open(&d, root, name, &e), 0);
	check_int(download_dest_temp(&d, "01234567", &e), 0);
	check(enc_utf8_valid(d.temp, strlen(d.temp)));
	check(strlen(d.temp) <= NAME_MAX && strlen(d.temp) > NAME_MAX - 4);
	download_dest_drop(&d);
	download_dest_close(&d);
}

/* Where the system cannot rename without replacing, a second name does the same. */
static void
test_old_rename(int root)
{
	struct download_final f = {.size = 3};
	struct download_dest a;
	struct err e;

	old_rename = 1;
	check_int(download_dest_open(&a, root, "old", &e), 0);
	check_int(download_dest_temp(&a, "01234567", &e), 0);
	check(write(a.fd, "one", 3) == 3);
	check_int(download_dest_commit(&a, &f, &e), 0);
	check_str(read_file(root, "old"), "one");
	check_str(read_file(root, a.temp), "(none)");
	check_int(download_dest_temp(&a, "01234567", &e), 0);
	check(write(a.fd, "two", 3) == 3);
	check_int(download_dest_commit(&a, &f, &e), 1);
	check_str(read_file(root, "old"), "one");
	download_dest_drop(&a);
	check_str(read_file(root, a.temp), "(none)");
	download_dest_close(&a);
	old_rename = 0;
}

/* An object of no bytes has come: may it be called fetched? */
static void
test_verify(void)
{
	static const struct {
		enum download_check check;
		unsigned parts;
		int right, resumed;           /* is the ETag that of no bytes; was some of it there from another run */
		int rc;
		enum download_proof proof;
	} cases[] = {
		{CHECK_WHOLE, 0, 1, 0, 0, DOWNLOAD_MD5}, {CHECK_WHOLE, 0, 1, 1, 0, DOWNLOAD_MD5},
		{CHECK_WHOLE, 0, 0, 0, -1, 0}, {CHECK_WHOLE, 0, 0, 1, -1, 0},
		{CHECK_PARTS, 1, 1, 0, 0, DOWNLOAD_PARTS_MD5}, {CHECK_PARTS, 1, 1, 1, 0, DOWNLOAD_PARTS_MD5},
		{CHECK_PARTS, 1, 0, 0, -1, 0}, {CHECK_PARTS, 1, 0, 1, -1, 0},
		/* Of parts whose size nobody knows there is no proof: what this run has brought is taken, what was there is not. */
		{CHECK_PARTS, 3, 0, 0, 0, DOWNLOAD_NO_PART_SIZE}, {CHECK_PARTS, 3, 0, 1, -1, 0},
		{CHECK_NOTHING, 0, 0, 0, 0, DOWNLOAD_NO_MD5}, {CHECK_NOTHING, 0, 0, 1, -1, 0},
	};
	struct config cfg = {.host = "a.example"};
	struct s3_store store = {.cfg = &cfg};
	struct s3 s = {.store = &store};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct download d = {.object.etag = "x", .resumed = (uint64_t)cases[i].resumed};
		struct download_state st = {.d = &d, .kind = {.check = cases[i].check, .etag.parts = cases[i].parts}, .lay.nranges = 1};
		struct err e = {0};
		int rc;

		download_sum_init(&st.sum, cases[i].parts);
		if (cases[i].right) {
			struct download_sum right = st.sum;

			download_sum_end(&right);
			hash_md5_out(cases[i].parts ? &right.outer : &right.inner, st.kind.etag.md5);
		}
		rc = download_verify(&st, &s, &e);
		if (rc != cases[i].rc || (rc < 0 ? e.kind != ERR_CORRUPT : d.proof != cases[i].proof))
			fprintf(stderr, "  case %zu\n", i);
		check_int(rc, cases[i].rc);
		check(rc < 0 ? e.kind == ERR_CORRUPT : d.proof == cases[i].proof);
	}
}

/* Large objects, one worker: the server has nothing but noughts. */
static int under_way, most_under_way, fetched;

int
s3_get(struct s3 *s, const struct s3_get *g, struct s3_object_info *o, struct err *e)
{
	static const char noughts[DOWNLOAD_ROOM];

	if (!under_way)
		return ask_server(s, g, o, e);
	*o = (struct s3_object_info){.size = 5 * MIB};
	for (uint64_t left = g->len, n; left; left -= n) {
		n = left < sizeof noughts ? left : sizeof noughts;
		if (g->data(g->arg, noughts, (size_t)n, e) < 0)
			return -1;
	}
	return 0;
}

static void
begun(struct download *d)
{
	(void)d;
	if (++under_way > most_under_way)
		most_under_way = under_way;
}

static void
ended(struct download *d, const struct err *e)
{
	(void)d;
	under_way--;
	fetched += !e;
}

/* What is begun is finished first, so that whoever is stopped half way has half of them. */
static void
test_in_turn(int root)
{
	static struct download d[3];
	static struct pool pool;
	struct config cfg = {.host = "a.example"};
	struct s3_store store;
	struct download_options o = {.part_size = MIB};
	struct err e;

	check_int(s3_store_open(&store, &cfg, &e), 0);
	check_int(pool_open(&pool, &store, 1, 0, &e), 0);
	for (int i = 0; i < 3; i++) {
		d[i] = (struct download){.dir_fd = root, .known = 1, .started = begun, .finished = ended, .object = {.size = 5 * MIB, .etag = "x"}};
		snprintf(d[i].key, sizeof d[i].key, "turn/%d", i);
		snprintf(d[i].rel, sizeof d[i].rel, "turn/%d", i);
		download_submit(&pool, &o, &d[i]);
	}
	pool_close(&pool);
	s3_store_close(&store);
	check_int(fetched, 3);
	check_int(most_under_way, 1);
}

int
main(void)
{
	char dir[] = "/tmp/r2-t_download.XXXXXX", command[64];
	int root;

	check(mkdtemp(dir) != NULL);
	root = open(dir, O_PATH | O_DIRECTORY);
	test_content_range();
	test_reply();
	test_etag();
	test_part_sizes();
	test_sum();
	test_layout();
	test_verify();
	test_names();
	test_places(root);
	test_temp(root);
	test_left(root);
	test_other_owner(dir, root);
	test_long_temp(root);
	test_old_rename(root);
	test_in_turn(root);
	close(root);
	snprintf(command, sizeof command, "rm -rf %s", dir);
	check_int(system(command), 0);
	return test_end();
}
