/* The power is cut, at every moment and with everything that the disk may have then: what was promised to be remembered is, what was never true
   is not believed, and no file stands half under its final name. The next start goes on from there. */
#include "powercut.h"
#include "test.h"
#include "journal.h"
#include "ledger.h"
#include "private.h"

static struct err e;

/* ---- ledger */

enum { PATHS = 5, STEPS = 2000 };

/* What was put, in order; value 0: forgotten. */
static struct { int path, value; } puts_[STEPS];
static int nputs, promised[STEPS];     /* by mark: how many puts were made by then */
static struct ledger *ledger;
static size_t key_len;

static void
ledger_name(int path, char rel[24])
{
	snprintf(rel, 24, "x/%d.png", path);
}

static struct ledger_record
record_of(int value)
{
	struct ledger_record r = {.state = value % 3 ? LEDGER_DONE : LEDGER_BEGUN, .file = {(uint64_t)value, value * 7, (uint64_t)value * 13}};

	memset(r.key, 'k', key_len);
	snprintf(r.key + key_len, 16, "%d", value);
	snprintf(r.etag, sizeof r.etag, "%032d", value);
	return r;
}

static void
put(struct ledger *l, int path, int value)
{
	char rel[24];
	struct ledger_record r = record_of(value);

	ledger_name(path, rel);
	puts_[nputs].path = path;
	puts_[nputs++].value = value;
	check_int(value ? ledger_put(l, rel, &r, &e) : ledger_forget(l, rel, &e), 0);
}

static void
sync_ledger(void)
{
	if (ledger_sync(ledger, &e) == 0)
		promised[power_mark()] = nputs;
}

/* What the ledger says of path: a value, 0: nothing; -1: what was never put. */
static int
get(struct ledger *l, int path)
{
	char rel[24];
	struct ledger_record r, want;

	ledger_name(path, rel);
	if (!ledger_find(l, rel, &r))
		return 0;
	want = record_of((int)r.file.size);
	return r.state == want.state && !strcmp(r.key, want.key) && !strcmp(r.etag, want.etag) && r.file.mtime_ns == want.file.mtime_ns &&
		r.file.inode == want.file.inode ? (int)r.file.size : -1;
}

/* 1: it is what was promised last, or what was put since. */
static int
may_be(int path, int value, int synced)
{
	int last = 0;

	for (int i = 0; i < synced; i++)
		if (puts_[i].path == path)
			last = puts_[i].value;
	if (value == last)
		return 1;
	for (int i = synced; i < nputs; i++)
		if (puts_[i].path == path && puts_[i].value == value)
			return 1;
	return 0;
}

static int
ledger_good(int mark)
{
	int synced = mark < 0 ? 0 : promised[mark], ok = 1, got[PATHS];
	struct ledger *l = NULL;
	char rel[24];

	check_int(ledger_open(&l, power_after, "b", &e), 0);
	if (!l)
		return 0;
	for (int i = 0; i < PATHS; i++) {
		struct ledger_record r;

		got[i] = get(l, i);
		ledger_name(i, rel);
		check(may_be(i, got[i], synced));
		ok &= may_be(i, got[i], synced);
		r = record_of(got[i]);
		check_int(ledger_has(l, rel, &r.file), got[i] > 0 && r.state == LEDGER_DONE);
	}
	/* And it goes on: what is noted now stands beside what stood there. */
	nputs++;
	puts_[nputs - 1].path = -1;
	put(l, PATHS, 1999);
	nputs -= 2;
	check_int(ledger_sync(l, &e), 0);
	ledger_close(l);
	l = NULL;
	check_int(ledger_open(&l, power_after, "b", &e), 0);
	if (!l)
		return 0;
	for (int i = 0; i < PATHS; i++)
		if (get(l, i) != got[i])
			ok = 0;
	check(ok);
	check_int(get(l, PATHS), 1999);
	ledger_close(l);
	return ok;
}

static void
begin_ledger(size_t key)
{
	power_begin();
	nputs = 0;
	key_len = key;
	check_int(ledger_open(&ledger, power_live, "b", &e), 0);
}

/* kill -9, and the next start: nothing more is written or synced. */
static void
restart_ledger(void)
{
	power_killed = 1;
	ledger_close(ledger);
	power_killed = 0;
	check_int(ledger_open(&ledger, power_live, "b", &e), 0);
}

static void
test_ledger(void)
{
	begin_ledger(20);
	for (int i = 0; i < PATHS; i++)
		put(ledger, i, 1 + i);
	sync_ledger();
	put(ledger, 1, 0);
	put(ledger, 0, 10);
	put(ledger, 2, 11);
	put(ledger, 2, 12);
	sync_ledger();
	put(ledger, 3, 13);
	ledger_close(ledger);
	check_int(ledger_open(&ledger, power_live, "b", &e), 0);
	put(ledger, 1, 14);
	sync_ledger();
	put(ledger, 4, 0);
	put(ledger, 3, 15);
	ledger_close(ledger);
	power_cuts(ledger_good, 0);
}

/* Compaction, and what is put meanwhile. */
static void
test_compaction(void)
{
	int before = 0, value = 1;

	begin_ledger(900);
	for (int i = 0; i < 66; i++) {
		put(ledger, i % PATHS, value++);
		if (i % 11 == 10)
			sync_ledger();
	}
	sync_ledger();
	before = power_n;
	for (int i = 0; i < 12; i++) {
		put(ledger, i % 3, value++);
		if (i % 4 == 3)
			sync_ledger();
	}
	put(ledger, 4, 0);
	sync_ledger();
	ledger_close(ledger);
	power_cuts(ledger_good, before - 8);
}

/* An fsync that fails says nothing of what is on the disk, and the next one that succeeds nothing of what the first was to write. */
static void
test_failed_sync(void)
{
	begin_ledger(20);
	put(ledger, 0, 1);
	put(ledger, 1, 2);
	power_sync_fails = 1;
	sync_ledger();
	put(ledger, 2, 4);
	sync_ledger();
	put(ledger, 0, 5);
	power_sync_fails = 2;
	sync_ledger();
	sync_ledger();
	sync_ledger();
	ledger_close(ledger);
	power_cuts(ledger_good, 0);
}

/* What one process has written and not synced, the next one answers for. */
static void
test_inherited(void)
{
	begin_ledger(20);
	put(ledger, 0, 1);
	put(ledger, 1, 2);
	restart_ledger();
	put(ledger, 2, 4);
	sync_ledger();
	put(ledger, 3, 5);
	restart_ledger();
	power_sync_fails = 1;
	sync_ledger();
	sync_ledger();
	put(ledger, 4, 7);
	restart_ledger();
	power_sync_fails = 1;
	put(ledger, 1, 8);
	sync_ledger();
	sync_ledger();
	restart_ledger();
	ledger_close(ledger);
	power_cuts(ledger_good, 0);
}

/* ---- journal */

/* What was begun, and the parts since; what was promised of it. */
static struct { int begin, parts; } journal_at[64];
static int journal_begun, journal_parts, seen_parts, seen_wrong, anew;

static void
see(void *arg, unsigned number, const char *note)
{
	char want[64];

	(void)arg;
	snprintf(want, sizeof want, "etag %s %u", (const char *)arg, number);
	seen_wrong |= strcmp(note, want) != 0 || (int)number != seen_parts + 1;
	seen_parts++;
}

static void
journal_name(char path[128], const char *dir)
{
	snprintf(path, 128, "%s/j", dir);
}

static void
journal_promise(void)
{
	int mark = power_mark();

	journal_at[mark].begin = journal_begun;
	journal_at[mark].parts = journal_parts;
}

static void
begin_transfer(struct journal *j)
{
	char identity[64], token[64];

	journal_begun++;
	journal_parts = 0;
	snprintf(identity, sizeof identity, "file %d %.*s", journal_begun, journal_begun * 7, "-----------------------------------");
	snprintf(token, sizeof token, "upload %d", journal_begun);
	check_int(journal_begin(j, identity, token, &e), 0);
	journal_promise();
}

static void
do_part(struct journal *j)
{
	char note[64];

	snprintf(note, sizeof note, "etag %d %d", journal_begun, ++journal_parts);
	check_int(journal_part(j, (unsigned)journal_parts, note, &e), 0);
	journal_promise();
}

/* Load it: which one was begun, 0: none; -1: what never was. */
static int
load(struct journal *j, const char *dir, struct journal_text *t)
{
	char path[128], want[64], who[16];
	int begun;

	journal_name(path, dir);
	check_int(journal_open(j, path, &e), 0);
	seen_parts = seen_wrong = 0;
	/* Twice: the first time the parts' notes cannot be known. */
	check_int(journal_load(j, t, see, (void *)"", &e), 0);
	begun = atoi(t->identity + (*t->identity ? 5 : 0));
	snprintf(who, sizeof who, "%d", begun);
	seen_parts = seen_wrong = 0;
	check_int(journal_load(j, t, see, who, &e), 0);
	snprintf(want, sizeof want, "upload %d", begun);
	return begun && strcmp(want, t->token) ? -1 : begun;
}

static int
journal_good(int mark)
{
	int begun = mark < 0 ? 0 : journal_at[mark].begin, parts = mark < 0 ? 0 : journal_at[mark].parts, got, ok;
	struct journal_text t;
	struct journal j;

	got = load(&j, power_after, &t);
	/* Another one than promised: only one that was begun since. Who does not load what is there begins anew. */
	ok = mark == anew && got == 0 ? 1 : got >= begun && got <= begun + 1 && !seen_wrong && (got > begun || seen_parts >= parts);
	check(ok);
	/* And it goes on. */
	parts = seen_parts;
	if (got > 0) {
		char note[64];

		snprintf(note, sizeof note, "etag %d %d", got, parts + 1);
		check_int(journal_part(&j, (unsigned)parts + 1, note, &e), 0);
		journal_close(&j);
		check_int(load(&j, power_after, &t), got);
		check_int(seen_parts, parts + 1);
		check(!seen_wrong);
	}
	journal_close(&j);
	return ok;
}

static void
test_journal(void)
{
	struct journal_text t;
	struct journal j;
	char path[128];

	power_begin();
	journal_begun = 0;
	journal_name(path, power_live);
	check_int(journal_open(&j, path, &e), 0);
	begin_transfer(&j);
	for (int i = 0; i < 30; i++)
		do_part(&j);
	journal_close(&j);
	/* The same again, which goes on; then another one. */
	check_int(load(&j, power_live, &t), 1);
	do_part(&j);
	begin_transfer(&j);
	do_part(&j);
	do_part(&j);
	journal_close(&j);
	check_int(journal_open(&j, path, &e), 0);
	anew = power_marks - 1;
	begin_transfer(&j);
	do_part(&j);
	journal_close(&j);
	power_cuts(journal_good, 0);
}

int
main(void)
{
	test_ledger();
	test_compaction();
	test_failed_sync();
	test_inherited();
	test_journal();
	printf("%d states of the disk\n", power_states);
	power_end();
	return test_end();
}
