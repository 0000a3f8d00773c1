/* The ledger against a plain table: what was put is found, whatever comes and goes, however often it is opened again; a damage takes its own record
   only; any file can be loaded, and what is put then is found the next time. */
#include "disk.h"
#include "ledger_file.h"
#include "hash.h"

enum { PATHS = 12, OPS = 60, FILE_MAX_BYTES = 1 << 20 };

/* One path as it should be. */
struct row {
	int there;
	struct ledger_record r;
};

static struct row table[PATHS];

static const char *
path_of(size_t i, char out[PATH_MAX])
{
	/* Long ones, so that blocks and limits are met. */
	memset(out, 'x', PATH_MAX);
	out[i == 11 ? PATH_MAX - 1 : i == 10 ? 3000 : i * 7 + 1] = '\0';
	out[0] = (char)('a' + i);
	return out;
}

static struct ledger *
open_it(void)
{
	struct ledger *l;
	struct err e = {0};

	must(ledger_open(&l, disk_open(), "f", &e) == 0);
	return l;
}

static void
must_be(struct ledger *l, size_t i)
{
	static struct ledger_record r;
	char path[PATH_MAX];
	const struct row *t = &table[i];
	int found = ledger_find(l, path_of(i, path), &r);

	must(found == t->there);
	if (!found)
		return;
	must(r.state == t->r.state && !strcmp(r.key, t->r.key) && !strcmp(r.etag, t->r.etag));
	must(!memcmp(&r.file, &t->r.file, sizeof r.file));
	must(ledger_has(l, path, &r.file) == (r.state == LEDGER_DONE));
	r.file.size++;
	must(!ledger_has(l, path, &r.file));
}

static void
must_be_all(struct ledger *l)
{
	size_t done = 0;

	for (size_t i = 0; i < PATHS; i++) {
		must_be(l, i);
		done += table[i].there && table[i].r.state == LEDGER_DONE;
	}
	must(ledger_count(l) == done);
}

static void
put(struct ledger *l, size_t i, unsigned how, struct in *in)
{
	struct row *t = &table[i];
	char path[PATH_MAX];
	struct buf key = BUF(t->r.key), etag = BUF(t->r.etag);
	struct err e = {0};

	t->there = 1;
	t->r.state = how & 1 ? LEDGER_DONE : LEDGER_BEGUN;
	t->r.file = (struct ledger_file){how, (int64_t)take_word(in), how * 3};
	path_of(i, path);
	for (unsigned k = take_byte(in); k--;)
		buf_char(&key, 'k');
	if (how & 2)
		buf_put(&key, path, strlen(path) > 700 ? 700 : strlen(path));
	for (unsigned k = take_byte(in) % S3_ETAG_CAP; k--;)
		buf_char(&etag, 'e');
	must(ledger_put(l, path, &t->r, &e) == 0);
}

/* A story of puts, forgets, syncs and new starts. */
static struct ledger *
tell(struct in *in)
{
	struct ledger *l = open_it();
	char path[PATH_MAX];
	struct err e = {0};

	for (int n = 0; in->n && n < OPS; n++) {
		unsigned op = take_byte(in);
		size_t i = take_byte(in) % PATHS;

		switch (op & 7) {
		case 0:
			must(ledger_forget(l, path_of(i, path), &e) == 0);
			table[i].there = 0;
			break;
		case 1:
			must(ledger_sync(l, &e) == 0 && !ledger_dirty(l));
			break;
		case 2:
			ledger_close(l);
			l = open_it();
			must(!*ledger_warning(l));
			break;
		default:
			put(l, i, op >> 3, in);
		}
		must_be(l, i);
	}
	must_be_all(l);
	return l;
}

/* Nothing is there that was not put; what is, is what it was. */
static void
must_be_from_table(struct ledger *l)
{
	static struct ledger_record r;
	char path[PATH_MAX];

	for (size_t i = 0; i < PATHS; i++)
		if (ledger_find(l, path_of(i, path), &r))
			must(strlen(r.key) <= PATH_KEY_MAX && strlen(r.etag) < S3_ETAG_CAP);
}

static void
put_one(struct ledger *l)
{
	struct in none = {NULL, 0};

	put(l, 4, 3, &none);
	must_be(l, 4);
	ledger_close(l);
	l = open_it();
	must_be(l, 4);
	must(!*ledger_warning(l));
	ledger_close(l);
}

/* One byte is flipped, or the end is missing: records that lie elsewhere are found as before. */
static void
damage(struct in *in)
{
	static unsigned char file[FILE_MAX_BYTES];
	unsigned how = take_byte(in);
	size_t at = take_below(in, 65536), n, last[PATHS] = {0}, len[PATHS] = {0};
	struct ledger_reader r;
	char path[128], rel[PATH_MAX];
	struct ledger *l;
	int fd;

	ledger_close(tell(in));
	n = disk_get(file, sizeof file);
	if (n <= LEDGER_HEADER || n == sizeof file)
		return;
	disk_path(path);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	must(fd >= 0 && ledger_reader_open(&r, fd) == 0);
	while (ledger_reader_next(&r) > 0)
		for (size_t i = 0; i < PATHS; i++)
			if (r.view.path_len == strlen(path_of(i, rel)) && !memcmp(rel, r.view.path, r.view.path_len)) {
				last[i] = r.at;
				len[i] = r.len;
			}
	must(r.end == n && !r.lost && !r.tail);
	ledger_reader_close(&r);
	close(fd);
	at %= n;
	if (how & 1)
		file[at] ^= (unsigned char)(how | 2);
	disk_put(file, how & 1 ? n : at);
	l = open_it();
	for (size_t i = 0; i < PATHS; i++)
		if (last[i] && (how & 1 ? at < last[i] || at >= last[i] + len[i] : last[i] + len[i] <= at))
			must_be(l, i);
	must_be_from_table(l);
	put_one(l);
}

/* Records of the fuzzer's own making, with checksums that are right. */
static void
sound_records(struct in *in)
{
	static unsigned char file[FILE_MAX_BYTES];
	size_t n = LEDGER_HEADER;
	struct ledger_view v;

	ledger_header(file, 1);
	while (in->n && n + LEDGER_RECORD_MAX < sizeof file) {
		size_t from = n, len, behind = 8 + 8 + 8;
		unsigned char *p = file + n;
		uint32_t sum;
		uint16_t lens[4];

		memcpy(p, "\xfb\0r", 3);
		p[3] = (unsigned char)take_byte(in);
		memset(p + 8, 0, behind);
		for (int i = 0; i < 4; i++)
			lens[i] = (uint16_t)take_byte(in);
		memcpy(p + 32, lens, sizeof lens);
		len = LEDGER_HEAD + (size_t)lens[0] + lens[1] + lens[3] + 1;
		for (size_t i = LEDGER_HEAD; i < len; i++)
			p[i] = (unsigned char)take_byte(in);
		sum = hash_crc32c(hash_crc32c(0, p, 4), p + 8, len - 8);
		memcpy(p + 4, &sum, sizeof sum);
		n = from + len;
		if (ledger_record_read(p, len, &v))
			must(v.path_len + v.own_len + v.etag_len + LEDGER_HEAD + 1 == len && v.shared <= v.path_len);
	}
	disk_put(file, n);
}

static void
count(void *arg, const char *rel, const struct ledger_record *r)
{
	must(*rel && strlen(rel) < PATH_MAX);
	*(size_t *)arg += r->state == LEDGER_DONE;
}

static void
load_any(void)
{
	struct ledger *l = open_it();
	size_t n = 0;

	ledger_each(l, count, &n);
	must(n == ledger_count(l));
	must_be_from_table(l);
	put_one(l);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct in in = {data, size};
	unsigned mode = take_byte(&in);
	char path[128];

	if (size > 8192)
		return 0;
	memset(table, 0, sizeof table);
	disk_path(path);
	unlink(path);
	switch (mode & 3) {
	case 0:
		ledger_close(tell(&in));
		break;
	case 1:
		damage(&in);
		break;
	case 2:
		sound_records(&in);
		load_any();
		break;
	default:
		if (mode & 4) {
			unsigned char file[8192 + LEDGER_HEADER];

			ledger_header(file, 1);
			memcpy(file + LEDGER_HEADER, in.p, in.n);
			disk_put(file, LEDGER_HEADER + in.n);
		} else {
			disk_put(in.p, in.n);
		}
		if (mode & 4 || in.n < 8 || memcmp(in.p, "r2ledger", 8))
			load_any();
	}
	unlink(path);
	return 0;
}
