/* What a download decides without a server: what an ETag proves, which ranges there are, where a file may go. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
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

/* What the ETag of this lane alone says, as an object without parts or as one of one part. */
static void
right_etag(const struct download_lane *lane, unsigned parts, unsigned char md5[HASH_MD5_LEN])
{
	struct hash_md5 outer;

	hash_md5_out(&lane->md5, md5);
	if (!parts)
		return;
	hash_md5_init(&outer);
	hash_md5_update(&outer, md5, HASH_MD5_LEN);
	hash_md5_out(&outer, md5);
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
		struct download_lane lane = {0};
		struct download_state st = {.d = &d, .kind = {.check = cases[i].check, .etag.parts = cases[i].parts}, .lay = {.nranges = 1, .nlanes = 1}, .lanes = &lane};
		struct err e = {0};
		int rc;

		hash_md5_init(&lane.md5);
		if (cases[i].right)
			right_etag(&lane, cases[i].parts, st.kind.etag.md5);
		rc = download_verify(&st, &s, &e);
		if (rc != cases[i].rc || (rc < 0 ? e.kind != ERR_CORRUPT : d.proof != cases[i].proof))
			fprintf(stderr, "  case %zu\n", i);
		check_int(rc, cases[i].rc);
		check(rc < 0 ? e.kind == ERR_CORRUPT : d.proof == cases[i].proof);
	}
}

/* A download of so many bytes, of parts of that size where that is not 0, in ranges of want, and its file. */
struct laned {
	struct download d;
	struct download_state st;
	uint64_t size, part;
	unsigned char with;
	int lost;
};

static void
content(const struct laned *x, uint64_t from, unsigned char *p, uint64_t n)
{
	for (uint64_t i = 0; i < n; i++)
		p[i] = (unsigned char)((from + i) % 251 * 7 + x->with);
}

static int
laned_open(struct laned *x, uint64_t size, uint64_t part, uint64_t want)
{
	char name[] = "/tmp/r2-t_download.XXXXXX";
	struct download_wish w = {.size = size, .parts = part ? (unsigned)((size - 1) / part + 1) : 0, .part = part, .want = want, .workers = 8};
	struct err e;

	*x = (struct laned){.d.object = {.size = size, .etag = "x"}, .size = size, .part = part, .with = (unsigned char)(size + part)};
	x->st = (struct download_state){.d = &x->d, .kind = {.check = part ? CHECK_PARTS : CHECK_WHOLE, .etag.parts = w.parts, .nsizes = part != 0},
		.dest.fd = mkstemp(name)};
	unlink(name);
	return download_layout_choose(&x->st.lay, &w) < 0 || download_ranges_open(&x->st, &e) < 0 ? -1 : 0;
}

/* Bytes at offset off have come; near: they are still in memory when that is told. */
static void
laned_arrive(struct laned *x, uint64_t off, uint64_t n, int near)
{
	unsigned char *p = malloc(n ? n : 1);
	uint64_t from, len;

	content(x, off, p, n);
	x->lost |= pwrite(x->st.dest.fd, p, n, (off_t)off) != (ssize_t)n;
	for (unsigned r = 0; r < x->st.lay.nranges; r++) {
		len = download_layout_range(&x->st.lay, r, &from);
		if (off < from + len && off + n > from)
			__atomic_store_n(&x->st.progress[r], (off + n < from + len ? off + n : from + len) - from, __ATOMIC_RELEASE);
	}
	__atomic_store_n(&x->st.next, x->st.lay.nranges, __ATOMIC_RELAXED);
	if (near)
		download_lanes_arrived(&x->st, (char *)p, n, off);
	free(p);
}

static uint64_t
laned_hashed(const struct laned *x)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < x->st.lay.nlanes; i++)
		sum += x->st.lanes[i].hashed;
	return sum;
}

/* 1 when what has been hashed of each lane is what has come. */
static int
laned_right(const struct laned *x)
{
	unsigned char want[HASH_MD5_LEN], got[HASH_MD5_LEN], *p;
	struct hash_md5 md5;

	for (unsigned i = 0; i < x->st.lay.nlanes; i++) {
		const struct download_lane *l = &x->st.lanes[i];

		p = malloc(l->hashed + 1);
		content(x, i * x->st.lay.lane, p, l->hashed);
		hash_md5_init(&md5);
		hash_md5_update(&md5, p, l->hashed);
		free(p);
		hash_md5_out(&md5, want);
		hash_md5_out(&l->md5, got);
		if (memcmp(want, got, sizeof want))
			return 0;
	}
	return !x->lost;
}

static int
laned_close(struct laned *x)
{
	int right = laned_right(x);

	download_ranges_free(&x->st);
	close(x->st.dest.fd);
	return right;
}

static char lane_room[DOWNLOAD_ROOM];

/* Alone, what comes is hashed in memory; with others about, it is left to be hashed beside theirs, but for very little. */
static void
test_lanes_arrive(void)
{
	struct laned a, b, small;
	uint64_t at;

	check_int(laned_open(&a, MIB + 100, 0, 8 * MIB), 0);
	laned_arrive(&a, 0, 1000, 1);
	/* Only whole blocks, so that others can be hashed beside the rest. */
	check_int((long)laned_hashed(&a), 960);
	laned_arrive(&a, 1000, 64000, 1);
	check_int((long)laned_hashed(&a), 960);
	download_lanes_rest(&a.st, lane_room);
	at = laned_hashed(&a);
	check_int((long)at, 48 * 1024);
	laned_arrive(&a, at, MIB - at, 1);
	check_int((long)laned_hashed(&a), (long)MIB);
	check_int(laned_open(&b, 2 * MIB, 0, 8 * MIB), 0);
	laned_arrive(&a, MIB, 100, 1);
	laned_arrive(&b, 0, 2 * MIB, 1);
	check_int((long)laned_hashed(&a), (long)MIB);
	check_int((long)laned_hashed(&b), 0);
	check_int(laned_open(&small, 5000, 0, 8 * MIB), 0);
	laned_arrive(&small, 0, 5000, 1);
	check_int((long)laned_hashed(&small), 5000);
	download_lanes_rest(&a.st, lane_room);
	check_int((long)laned_hashed(&a), (long)MIB + 100);
	check(laned_close(&a));
	check(laned_close(&small));
	/* Alone again. */
	check_int(download_lanes_some(&b.st, lane_room), 1);
	check(laned_close(&b));

	/* Several parts in one range. */
	check_int(laned_open(&a, 5 * MIB + 77, MIB, 64 * MIB), 0);
	check_int(a.st.lay.nranges, 1);
	laned_arrive(&a, 0, MIB + 128, 1);
	check_int((long)laned_hashed(&a), (long)MIB + 128);
	laned_arrive(&a, MIB + 128, 4 * MIB - 51, 1);
	check_int((long)laned_hashed(&a), 5 * (long)MIB + 77);
	check(laned_close(&a));
}

/* Others' lanes are hashed beside one's own, and what cannot be read of one of them is no fault of the rest. */
static void
test_lanes_beside(void)
{
	struct laned x[11];

	for (unsigned i = 0; i < 11; i++)
		check_int(laned_open(&x[i], (i + 2) * MIB + 100, i == 3 ? MIB : 0, 8 * MIB), 0);
	check_int(download_lanes_some(&x[0].st, lane_room), 0);
	for (unsigned i = 0; i < 5; i++)
		laned_arrive(&x[i], 0, x[i].size, 0);
	/* Those that have nothing yet may get some. */
	check_int(download_lanes_some(&x[10].st, lane_room), 0);
	check_int(ftruncate(x[1].st.dest.fd, 1000), 0);
	download_lanes_rest(&x[0].st, lane_room);
	check_int((long)laned_hashed(&x[0]), (long)x[0].size);
	check(!err_kept(&x[0].st.fault));
	check(err_kept(&x[1].st.fault));
	/* The longer they are, the more of them are hashed; there is room for eight lanes. */
	check((long)laned_hashed(&x[2]) >= 2 * (long)MIB);
	check((long)laned_hashed(&x[3]) >= 2 * (long)MIB);
	check((long)laned_hashed(&x[4]) >= 2 * (long)MIB);
	check(!err_kept(&x[2].st.fault));
	/* Of what is not at its end only whole blocks, else nothing could be hashed beside it. */
	check_int((long)laned_hashed(&x[2]) % 64, 0);
	check_int((long)laned_hashed(&x[4]) % 64, 0);
	download_ranges_free(&x[1].st);
	close(x[1].st.dest.fd);
	for (unsigned i = 5; i < 11; i++)
		laned_arrive(&x[i], 0, x[i].size, 0);
	/* Eight that have enough. */
	check_int(download_lanes_some(&x[10].st, lane_room), 1);
	for (unsigned i = 11; i-- > 0; ) {
		if (i == 1)
			continue;
		download_lanes_rest(&x[i].st, lane_room);
		check_int((long)laned_hashed(&x[i]), (long)x[i].size);
		check(!err_kept(&x[i].st.fault));
		check(laned_close(&x[i]));
	}
}

/* Objects that nothing could prove are nobody's business, and one may be begun again. */
static void
test_lanes_none(void)
{
	struct laned a, b, none;
	struct err e;

	check_int(laned_open(&a, MIB, 0, 8 * MIB), 0);
	check_int(laned_open(&none, MIB, 0, 8 * MIB), 0);
	for (unsigned again = 0; again < 2; again++) {
		download_ranges_free(&none.st);
		none.st.kind.check = CHECK_NOTHING;
		check_int(download_ranges_open(&none.st, &e), 0);
	}
	check_int(laned_open(&b, MIB, 0, 8 * MIB), 0);
	laned_arrive(&a, 0, MIB, 1);
	laned_arrive(&b, 0, MIB, 1);
	check_int(download_lanes_some(&none.st, lane_room), 0);
	download_lanes_rest(&none.st, lane_room);
	download_lanes_rest(&a.st, lane_room);
	check_int((long)laned_hashed(&b), (long)MIB);
	download_ranges_free(&none.st);
	close(none.st.dest.fd);
	check(laned_close(&b));
	laned_arrive(&a, 0, MIB, 1);
	check(laned_close(&a));
}

/* Nothing is left to become more than the page cache may keep. */
static void
test_lanes_lag(void)
{
	struct laned x, nothing;

	check_int(laned_open(&x, 40 * MIB, 0, 64 * MIB), 0);
	check_int(laned_open(&nothing, 40 * MIB, 0, 64 * MIB), 0);
	laned_arrive(&x, 0, 31 * MIB, 1);
	check_int(download_lanes_some(&x.st, lane_room), 0);
	laned_arrive(&x, 0, 32 * MIB, 1);
	check_int(download_lanes_some(&x.st, lane_room), 1);
	check_int((long)laned_hashed(&x), (long)MIB);
	check(laned_close(&nothing));
	check(laned_close(&x));
}

/* Many at once, with one end of the row leaving while the other comes. */
static void *
fetch_some(void *arg)
{
	char *room = malloc(DOWNLOAD_ROOM);   /* musl's threads have a stack of 128 KiB */
	struct laned x;
	uintptr_t bad = 0;

	for (unsigned n = 0; n < 20; n++) {
		bad += laned_open(&x, ((uintptr_t)arg + n) % 5 * 300000 + 70000, n % 3 == 1 ? 64 * 1024 : 0, n % 4 == 2 ? 100000 : 8 * MIB) < 0;
		for (uint64_t at = 0, more; at < x.size; at += more) {
			more = x.size - at < 70000 ? x.size - at : 70000;
			laned_arrive(&x, at, more, 1);
			download_lanes_some(&x.st, room);
		}
		/* Some end half way. */
		if (n % 5 != 4) {
			download_lanes_rest(&x.st, room);
			bad += laned_hashed(&x) != x.size;
		}
		download_lanes_leave(&x.st);
		bad += !laned_close(&x);
	}
	free(room);
	return (void *)bad;
}

static void
test_lanes_threads(void)
{
	pthread_t t[5];
	void *bad;

	for (uintptr_t i = 0; i < 5; i++)
		check_int(pthread_create(&t[i], NULL, fetch_some, (void *)i), 0);
	for (unsigned i = 0; i < 5; i++) {
		check_int(pthread_join(t[i], &bad), 0);
		check_int((uintptr_t)bad, 0);
	}
}

/* Large objects: the server has nothing but noughts. */
static int under_way, most_under_way, fetched;

/* A request waits until so many downloads have begun, and so many requests; the first, of late, until a worker has nothing to do. */
static struct {
	pthread_mutex_t lock;
	pthread_cond_t change;
	int downloads, requests, asked, begin;
	struct pool *late;
} crowd = {.lock = PTHREAD_MUTEX_INITIALIZER, .change = PTHREAD_COND_INITIALIZER};

static void
wait_for_crowd(void)
{
	struct pool *late;

	pthread_mutex_lock(&crowd.lock);
	late = crowd.asked++ ? NULL : crowd.late;
	pthread_cond_broadcast(&crowd.change);
	while (!late && (under_way < crowd.downloads || crowd.asked < crowd.requests))
		pthread_cond_wait(&crowd.change, &crowd.lock);
	if (!late)
		crowd.downloads = crowd.requests = 0;
	pthread_mutex_unlock(&crowd.lock);
	while (late && !pool_spare(late))
		sched_yield();
}

int
s3_get(struct s3 *s, const struct s3_get *g, struct s3_object_info *o, struct err *e)
{
	static const char noughts[DOWNLOAD_ROOM];

	if (!under_way)
		return ask_server(s, g, o, e);
	wait_for_crowd();
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
	pthread_mutex_lock(&crowd.lock);
	if (++under_way > most_under_way)
		most_under_way = under_way;
	pthread_cond_broadcast(&crowd.change);
	pthread_mutex_unlock(&crowd.lock);
}

static void
ended(struct download *d, const struct err *e)
{
	(void)d;
	pthread_mutex_lock(&crowd.lock);
	under_way--;
	fetched += !e;
	pthread_mutex_unlock(&crowd.lock);
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

/* A job that keeps its worker until all have been queued; one that does so until, besides, a request is under way. */
static void
keep_busy(struct pool_job *j, struct s3 *s)
{
	(void)j;
	(void)s;
	pthread_mutex_lock(&crowd.lock);
	while (!crowd.begin)
		pthread_cond_wait(&crowd.change, &crowd.lock);
	pthread_mutex_unlock(&crowd.lock);
}

static void
keep_longer(struct pool_job *j, struct s3 *s)
{
	keep_busy(j, s);
	pthread_mutex_lock(&crowd.lock);
	while (!crowd.asked)
		pthread_cond_wait(&crowd.change, &crowd.lock);
	pthread_mutex_unlock(&crowd.lock);
}

/* Two workers, one of them kept until the other has begun: so many objects of one lane, and how many must be under way at once. */
static void
side_by_side(int root, struct pool *pool, int many, struct pool_job *busy)
{
	static struct download d[2];
	struct config cfg = {.host = "a.example"};
	struct s3_store store;
	struct download_options o = {.part_size = MIB};
	struct err e;

	fetched = crowd.asked = crowd.begin = 0;
	check_int(s3_store_open(&store, &cfg, &e), 0);
	check_int(pool_open(pool, &store, 2, 0, &e), 0);
	for (int i = 0; busy && i < 2; i++)
		pool_submit(pool, &busy[i]);
	for (int i = 0; i < many; i++) {
		d[i] = (struct download){.dir_fd = root, .known = 1, .started = begun, .finished = ended, .object = {.size = 5 * MIB, .etag = "x"}};
		snprintf(d[i].key, sizeof d[i].key, "beside/%d", i);
		snprintf(d[i].rel, sizeof d[i].rel, "beside/%d", i);
		download_submit(pool, &o, &d[i]);
	}
	pthread_mutex_lock(&crowd.lock);
	crowd.begin = 1;
	pthread_cond_broadcast(&crowd.change);
	pthread_mutex_unlock(&crowd.lock);
	pool_close(pool);
	s3_store_close(&store);
	check_int(fetched, many);
}

/* Each worker takes an object of one lane while there are such, so that their lanes are hashed beside each other; else they share one, those
   that have nothing else to do from the beginning, and those to whom that happens later. What is wrong waits for ever. */
static void
test_side_by_side(int root)
{
	static struct pool pool;
	struct pool_job busy[2] = {{.run = keep_busy}, {.run = keep_longer}};

	crowd.downloads = 2;
	side_by_side(root, &pool, 2, busy);
	crowd.requests = 2;
	side_by_side(root, &pool, 1, NULL);
	crowd.requests = 3;
	crowd.late = &pool;
	side_by_side(root, &pool, 1, busy);
	crowd.late = NULL;
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
	test_lanes_arrive();
	test_lanes_beside();
	test_lanes_none();
	test_lanes_lag();
	test_lanes_threads();
	test_in_turn(root);
	test_side_by_side(root);
	close(root);
	snprintf(command, sizeof command, "rm -rf %s", dir);
	check_int(system(command), 0);
	return test_end();
}
