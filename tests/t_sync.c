#include <stdint.h>
#include "sync.h"
#include "test.h"

enum { SETTLE = 1000, MIB = 1 << 20 };

static struct err e;
static struct sync *s;
static int64_t now;

static void
begin(int64_t settle, int jobs)
{
	s = sync_open(settle, jobs);
	now = 100000;
}

static void
end(void)
{
	sync_close(s);
	s = NULL;
}

static void
see(const char *rel)
{
	check_int(sync_seen(s, rel, now, &e), 0);
}

/* The path that is due, "" for none; it stays LOOKING in *x. */
static const char *
look(struct sync_entry **x)
{
	*x = sync_look(s, now);
	return *x ? (*x)->rel : "";
}

static const char *
start(struct sync_entry **x)
{
	*x = sync_start(s, now);
	return *x ? (*x)->rel : "";
}

/* Everything that is due becomes READY with that size. */
static void
ready_all(uint64_t size)
{
	for (struct sync_entry *x; (x = sync_look(s, now));)
		sync_ready(s, x, size);
}

/* rel comes, is quiet and becomes READY. */
static void
offer(const char *rel, uint64_t size)
{
	see(rel);
	now += SETTLE;
	ready_all(size);
}

static size_t
in_state(enum sync_state state)
{
	struct sync_counts c;

	sync_count(s, &c);
	return c.n[state];
}

static void
test_quiet(void)
{
	struct sync_entry *x;

	begin(SETTLE, 4);
	check_int(sync_wake_ms(s, now), -1);
	see("a");
	check_int(sync_wake_ms(s, now), now + SETTLE);
	now += SETTLE - 1;
	check_str(look(&x), "");
	see("a");                        /* begins again */
	now += SETTLE - 1;
	check_str(look(&x), "");
	now++;
	check_int(sync_wake_ms(s, now), now);
	check_str(look(&x), "a");
	check_int(x->state, SYNC_LOOKING);
	check_int(x->first_ms, 100000);
	check_int(x->size, 0);
	check_int(sync_wake_ms(s, now), -1);
	sync_ready(s, x, 7);
	check_int(x->size, 7);
	check_int(sync_wake_ms(s, now), now);
	see("a");                        /* READY is not quiet any more */
	check_str(start(&x), "");
	check_int(in_state(SYNC_QUIET), 1);
	now += SETTLE;
	check_str(look(&x), "a");
	sync_drop(s, x);
	check_int(sync_wake_ms(s, now), -1);
	end();
}

/* What is seen while the caller looks, or sends, is looked at again, whatever came of that. */
static void
test_seen_meanwhile(void)
{
	struct sync_entry *x;

	for (int answer = 0; answer < 6; answer++) {
		begin(SETTLE, 4);
		see("a");
		now += SETTLE;
		look(&x);
		see("a");
		now += 10;
		switch (answer) {
		case 0: sync_drop(s, x); break;
		case 1: sync_ready(s, x, 5); break;
		case 2: sync_held(s, x, now); break;
		case 3: sync_unsure(s, x, 5, 77, now); break;
		case 4: sync_failed(s, x, SYNC_FILE, 0, now); break;
		case 5: sync_failed(s, x, SYNC_NETWORK, 0, now); break;
		}
		check_int(x->state, answer == 5 ? SYNC_RETRY : SYNC_QUIET);
		check_int(x->at_ms, now - 10 + SETTLE);
		end();
	}
}

static void
test_seen_while_running(void)
{
	struct sync_entry *x, *y;

	begin(SETTLE, 4);
	offer("a", 5);
	start(&x);
	x->told = 1;
	now += 50;
	see("a");
	check_str(look(&y), "");
	check_str(start(&y), "");
	now += 100;
	sync_done(s, x, now);
	check_int(x->state, SYNC_QUIET);
	check_int(x->first_ms, now - 100);
	check_int(x->told, 0);
	check_int(x->size, 0);
	now += SETTLE - 101;
	check_str(look(&y), "");
	now++;
	check_str(look(&y), "a");
	sync_ready(s, y, 6);
	start(&x);
	see("a");
	/* It changed while it was sent: that explains the failure, and is when it is looked at. */
	check_int(sync_failed(s, x, SYNC_FILE, 0, now + 10), SETTLE - 10);
	check_int(x->state, SYNC_QUIET);
	now += SETTLE;
	ready_all(6);
	start(&x);
	sync_done(s, x, now);
	check_int(sync_wake_ms(s, now), -1);
	end();
}

static void
test_gone(void)
{
	struct sync_entry *x, *y;
	struct sync_counts c;

	begin(SETTLE, 4);
	see("d/a");
	see("d/b/c");
	see("d");
	see("dd");
	see("e/d/x");
	sync_gone(s, "d/nothing", 0, now);
	sync_gone(s, "e/d", 0, now);         /* a file of that name: there is none */
	sync_count(s, &c);
	check_int(c.all, 5);
	sync_gone(s, "d", 1, now);
	sync_count(s, &c);
	check_int(c.all, 2);
	sync_gone(s, "dd", 0, now);
	now += SETTLE;
	check_str(look(&x), "e/d/x");
	sync_gone(s, "e", 1, now);           /* somebody is looking at it */
	sync_ready(s, x, 9);
	check_int(x->state, SYNC_QUIET);
	now += SETTLE;
	ready_all(9);
	check_str(start(&x), "e/d/x");
	check_int(x->gone, 0);
	sync_gone(s, "e/d/x", 0, now);
	check_int(x->gone, 1);
	sync_count(s, &c);
	check_int(c.n[SYNC_RUNNING], 1);
	sync_done(s, x, now);
	now += SETTLE;
	check_str(look(&y), "e/d/x");
	sync_drop(s, y);
	see("a");
	see("b/c");
	sync_gone(s, "", 1, now);
	sync_count(s, &c);
	check_int(c.all, 0);
	end();
}

static void
find(const char *rel, uint64_t print)
{
	check_int(sync_found(s, rel, print, now, &e), 0);
}

static void
test_found(void)
{
	struct sync_entry *x;

	begin(SETTLE, 1);
	find("a", 1);
	now += SETTLE - 1;
	find("a", 1);
	now++;
	check_str(look(&x), "a");            /* not put off */
	sync_unsure(s, x, 3, 1, now);        /* as it was a quiet time ago */
	check_int(x->state, SYNC_READY);
	find("a", 1);
	check_int(x->state, SYNC_READY);
	find("a", 2);                        /* it changed while it waited */
	check_int(x->state, SYNC_QUIET);
	check_int(x->at_ms, now + SETTLE);
	now += SETTLE;
	look(&x);
	find("a", 3);                        /* while somebody looks */
	sync_ready(s, x, 3);
	check_int(x->state, SYNC_QUIET);
	now += SETTLE;
	ready_all(3);
	check_str(start(&x), "a");
	find("a", 3);
	sync_done(s, x, now);
	check_int(x->state, SYNC_QUIET);     /* the scan may have seen what came after the upload's last look */
	see("b");
	find("b", 0);                        /* an event came first */
	now += SETTLE - 1;
	find("b", 0);
	now++;
	check_str(look(&x), "a");
	check_str(look(&x), "b");
	sync_failed(s, x, SYNC_FILE, UINT32_MAX, now);
	find("b", 0);
	check_int(x->state, SYNC_RETRY);
	find("b", 4);                        /* what was wrong with it may have changed */
	check_int(x->state, SYNC_QUIET);
	end();
}

static void
test_held(void)
{
	static const int wait[] = {10, 1000, 2000, 4000, 8000, 16000, 30000, 30000};
	struct sync_entry *x;

	begin(SETTLE, 4);
	see("a");
	now += SETTLE;
	for (size_t i = 0; i < sizeof wait / sizeof *wait; i++) {
		check_str(look(&x), "a");
		sync_held(s, x, now);
		check_int(x->at_ms, now + wait[i]);
		check_int(in_state(SYNC_HELD), 1);
		now += wait[i];
	}
	look(&x);
	sync_held(s, x, now);
	see("a");                            /* it was closed, or written to: the quiet time counts */
	check_int(x->state, SYNC_QUIET);
	now += SETTLE;
	check_str(look(&x), "a");
	sync_held(s, x, now);
	check_int(x->at_ms, now + 10);
	end();
}

static void
test_unsure(void)
{
	struct sync_entry *x;

	begin(SETTLE, 4);
	see("a");
	now += SETTLE;
	look(&x);
	sync_unsure(s, x, 10, 0, now);       /* 0 is a print like any other */
	check_int(x->state, SYNC_QUIET);
	now += SETTLE;
	look(&x);
	sync_unsure(s, x, 11, 1, now);       /* it grows */
	check_int(x->state, SYNC_QUIET);
	check_int(x->at_ms, now + SETTLE);
	now += SETTLE;
	look(&x);
	sync_unsure(s, x, 11, 1, now);
	check_int(x->state, SYNC_READY);
	check_int(x->size, 11);
	end();
	begin(0, 4);
	see("a");
	check_str(look(&x), "a");
	sync_unsure(s, x, 10, 5, now);
	check_str(look(&x), "a");
	sync_unsure(s, x, 10, 5, now);
	check_str(start(&x), "a");
	end();
}

static void
test_rank(void)
{
	static const struct { const char *rel; uint64_t size; } files[] = {
		{"film", 300ULL * MIB}, {"late film", 256ULL * MIB}, {"b", MIB - 1}, {"clip", 2 * MIB}, {"a", 0},
		{"photo", MIB}, {"medium", 16 * MIB}, {"huge", 5ULL << 40},
	};
	/* every fourth is the oldest */
	static const char *const want[] = {"b", "a", "clip", "film", "photo", "medium", "late film", "huge"};
	struct sync_entry *x;

	begin(0, 100);
	for (size_t i = 0; i < sizeof files / sizeof *files; i++, now++) {
		see(files[i].rel);
		ready_all(files[i].size);
	}
	for (size_t i = 0; i < sizeof want / sizeof *want; i++)
		check_str(start(&x), want[i]);
	check_str(start(&x), "");
	end();
	/* Of one moment: by name. */
	begin(0, 100);
	see("b");
	see("c");
	see("a");
	check_str(look(&x), "a");
	sync_ready(s, x, 1);
	ready_all(1);
	check_str(start(&x), "a");
	check_str(start(&x), "b");
	check_str(start(&x), "c");
	end();
}

/* What failed comes behind what has not been tried, however small and old it is: many such files do not keep the others from their turn. */
static void
test_failed_come_last(void)
{
	struct sync_entry *x;
	char rel[24];
	int bad = 0;

	begin(0, 40);
	for (int i = 0; i < 40; i++) {
		snprintf(rel, sizeof rel, "bad %02d", i);
		see(rel);
	}
	ready_all(1);
	while (*start(&x))
		sync_failed(s, x, SYNC_NETWORK, 0, now);
	now += SYNC_RETRY_CAP_MS;
	for (int i = 0; i < 20; i++) {
		snprintf(rel, sizeof rel, "good %02d", i);
		see(rel);
	}
	for (; (x = sync_look(s, now));)
		sync_ready(s, x, x->failures ? 1 : MIB);
	for (int good = 0; good < 20 && *start(&x); ) {
		bad += x->failures != 0;
		good += !x->failures;
	}
	check_int(bad, 6);     /* but for the oldest one of each four */
	end();
}

static void
test_jobs(void)
{
	struct sync_entry *x, *y;

	begin(0, 2);
	see("a");
	see("b");
	see("c");
	ready_all(1);
	check_str(start(&x), "a");
	check_int(sync_wake_ms(s, now), now);
	check_str(start(&y), "b");
	check_int(sync_wake_ms(s, now), -1);   /* only an end makes room */
	check_str(start(&x), "");
	sync_done(s, y, now);
	check_str(start(&x), "c");
	end();
}

/* A stream of small files does not keep a large one from its turn. */
static void
test_large_has_its_turn(void)
{
	struct sync_entry *x;
	char rel[24];
	int turn = 0;

	begin(0, 1);
	see("large");
	ready_all(1ULL << 40);
	for (int i = 0; i < 20 && !turn; i++) {
		now++;
		snprintf(rel, sizeof rel, "small %d", i);
		see(rel);
		ready_all(1);
		if (!strcmp(start(&x), "large"))
			turn = i + 1;
		sync_done(s, x, now);
	}
	check_int(turn, 4);
	end();
}

static void
test_retry_waits(void)
{
	struct sync_entry *x;
	int64_t wait = 1000;

	begin(0, 1);
	see("a");
	ready_all(1);
	for (unsigned i = 1; i < 300; i++) {
		int64_t got;

		check_str(start(&x), "a");
		got = sync_failed(s, x, i % 2 ? SYNC_NETWORK : SYNC_FILE, i % 3 ? UINT32_MAX : 0, now);
		check_int(got, i % 3 ? wait : wait / 2);
		check_int(x->state, SYNC_RETRY);
		check_int(x->failures, i);
		check_int(x->at_ms, now + got);
		check_int(sync_wake_ms(s, now), now + got);
		now += got - 1;
		check(!sync_look(s, now));
		now++;
		ready_all(1);
		wait = 2 * wait < 300000 ? 2 * wait : 300000;
	}
	end();
}

static void
test_success_brings_forward(void)
{
	struct sync_entry *x, *y;
	struct sync_counts c;
	int64_t at;

	begin(0, 2);
	see("file");
	see("net");
	ready_all(1);
	for (int i = 0; i < 5; i++) {
		start(&x);
		start(&y);
		sync_failed(s, x, !strcmp(x->rel, "net") ? SYNC_NETWORK : SYNC_FILE, 0, now);
		sync_failed(s, y, !strcmp(y->rel, "net") ? SYNC_NETWORK : SYNC_FILE, 0, now);
		now += 300000;
		ready_all(1);
	}
	start(&x);
	start(&y);
	check_str(x->rel, "file");
	sync_failed(s, x, SYNC_FILE, 0, now);
	at = x->at_ms;
	sync_failed(s, y, SYNC_NETWORK, 0, now);
	check_int(y->at_ms, at);
	see("good");
	ready_all(1);
	check_str(start(&y), "good");
	sync_done(s, y, now);
	check_str(look(&y), "net");              /* at once, its own wait would be 16 s */
	check_int(x->at_ms, at);
	/* It fails again while others go through: less and less is made of that. */
	sync_ready(s, y, 1);
	for (int i = 0; i < 12; i++) {
		int64_t want = 1000LL << i;

		now += 300000;
		ready_all(1);
		while (!strcmp(start(&x), "file"))
			sync_failed(s, x, SYNC_FILE, 0, now);
		check_str(x->rel, "net");
		sync_failed(s, x, SYNC_NETWORK, UINT32_MAX, now);
		see("good");
		ready_all(1);
		y = sync_start(s, now);
		check_str(y->rel, "good");
		sync_done(s, y, now);
		check_int(x->at_ms - now, want < 300000 ? want : 300000);
		sync_count(s, &c);
		check_int((long long)c.outage, 1);       /* a drain waits for it */
	}
	end();
}

static void
test_removed(void)
{
	struct sync_entry *x;

	begin(SETTLE, 1);
	offer("a", 1);
	for (int away = SETTLE; away <= SETTLE + 1; away++) {
		start(&x);
		check_int(sync_removed(s, "a", now, &e), 0);
		now += away;
		see("a");
		check_int(x->gone, away > SETTLE);   /* replaced; another one */
		sync_done(s, x, now);
		now += SETTLE;
		ready_all(1);
	}
	start(&x);
	check_int(x->gone, 0);
	for (int i = 0; i < 10; i++) {
		sync_failed(s, x, SYNC_NETWORK, 0, now);
		now = x->at_ms;
		ready_all(1);
		start(&x);
	}
	sync_failed(s, x, SYNC_NETWORK, 0, now);
	check(x->at_ms > now + SETTLE);
	check_int(sync_removed(s, "a", now, &e), 0);
	now += SETTLE;
	check_str(look(&x), "a");                /* whatever the network does: is it still away? */
	sync_drop(s, x);
	/* The same when the network fails under what is being sent, after it was removed. */
	offer("a", 1);
	for (int i = 0; i < 10; i++) {
		start(&x);
		sync_failed(s, x, SYNC_NETWORK, 0, now);
		now = x->at_ms;
		ready_all(1);
	}
	start(&x);
	check_int(sync_removed(s, "a", now, &e), 0);
	sync_failed(s, x, SYNC_NETWORK, 0, now);
	now += SETTLE;
	check_str(look(&x), "a");
	sync_drop(s, x);
	end();
}

static void
test_seen_while_retry(void)
{
	struct sync_entry *x;

	begin(SETTLE, 1);
	offer("a", 1);
	for (int i = 0; i < 10; i++) {
		start(&x);
		sync_failed(s, x, SYNC_FILE, 0, now);
		now += 300000;
		ready_all(1);
	}
	start(&x);
	sync_failed(s, x, SYNC_FILE, 0, now);
	see("a");                                /* its permissions may have changed */
	check_int(x->state, SYNC_QUIET);
	check_int(x->at_ms, now + SETTLE);
	check_int(x->failures, 11);
	now += SETTLE;
	ready_all(1);
	start(&x);
	sync_failed(s, x, SYNC_NETWORK, 0, now);
	now = x->at_ms - 1;
	see("a");                                /* not before its quiet time either */
	check_int(x->state, SYNC_RETRY);
	check_int(x->at_ms, now + SETTLE);
	see("b");
	now += 10;
	see("a");
	now += SETTLE;
	look(&x);
	sync_ready(s, x, 1);
	look(&x);
	sync_ready(s, x, 1);
	check_int(in_state(SYNC_READY), 2);
	end();
}

static void
test_pause(void)
{
	struct sync_entry *a, *b, *x;
	int64_t wait = 1000;

	begin(0, 2);
	see("a");
	see("b");
	see("c");
	ready_all(1);
	start(&a);
	start(&b);
	check(!sync_paused(s));
	check_int(sync_failed(s, a, SYNC_ACCOUNT, 0, now), 1000);
	check(sync_paused(s));
	/* was under way already: no probe */
	check_int(sync_failed(s, b, SYNC_ACCOUNT, 0, now + 10), 990);
	check(sync_paused(s));
	check_str(start(&x), "");
	check_int(sync_wake_ms(s, now), now + 1000);
	now += 999;
	check_str(start(&x), "");
	now++;
	check_str(start(&x), "c");               /* never tried yet */
	check_str(start(&a), "");                /* one at a time */
	for (int i = 0; i < 10; i++) {
		wait = 2 * wait < 60000 ? 2 * wait : 60000;
		check_int(sync_failed(s, x, SYNC_ACCOUNT, 0, now), wait);
		check(sync_paused(s));
		now += wait;
		ready_all(1);
		check(start(&x)[0]);
		check_str(start(&b), "");
	}
	sync_done(s, x, now);
	check(!sync_paused(s));
	ready_all(1);
	check_int(in_state(SYNC_READY), 2);
	check(start(&a)[0] && start(&b)[0]);
	end();
}

/* A probe that failed for another reason says nothing of the account. */
static void
test_probe_fails_otherwise(void)
{
	struct sync_entry *x;

	begin(0, 2);
	see("a");
	see("b");
	ready_all(1);
	start(&x);
	sync_failed(s, x, SYNC_ACCOUNT, 0, now);
	now += 1000;
	check_str(start(&x), "b");
	check_int(sync_failed(s, x, SYNC_FILE, UINT32_MAX, now), 1000);
	check(sync_paused(s));
	now += 999;
	ready_all(1);
	check_str(start(&x), "");
	now++;
	ready_all(1);
	check(start(&x)[0]);
	sync_failed(s, x, SYNC_NETWORK, 0, now);
	check(sync_paused(s));
	check_str(start(&x), "");
	now += 1000;                             /* the wait did not grow */
	ready_all(1);
	check(start(&x)[0]);
	sync_done(s, x, now);
	check(!sync_paused(s));
	end();
}

/* Nor does one whose file is gone: the next probe goes at once. */
static void
test_probe_gone(void)
{
	struct sync_entry *x;

	begin(0, 2);
	see("a");
	see("b");
	see("c");
	ready_all(1);
	start(&x);
	sync_failed(s, x, SYNC_ACCOUNT, 0, now);
	now += 1000;
	check(start(&x)[0]);
	sync_undone(s, x);
	check(sync_paused(s));
	check_int(sync_wake_ms(s, now) <= now, 1);
	check(start(&x)[0]);
	see(x->rel);
	sync_undone(s, x);
	check(sync_paused(s));
	ready_all(1);
	check(start(&x)[0]);
	sync_done(s, x, now);
	check(!sync_paused(s));
	end();
}

/* What fails while it is looked at holds nothing else up. */
static void
test_failure_of_looking(void)
{
	struct sync_entry *x;

	begin(0, 1);
	see("a");
	look(&x);
	check_int(sync_failed(s, x, SYNC_FILE, 0, now), 500);
	check_int(x->state, SYNC_RETRY);
	see("b");
	ready_all(1);
	check_str(start(&x), "b");
	end();
}

/* denied: so many keys are refused for ever, good ones are not. Nothing but those is left at the end, and it does not take for ever. */
static void
denied_among_good(int denied, int good, int jobs)
{
	int64_t last = 0;
	int pauses = 0, uploaded = 0;
	char rel[24];

	begin(0, jobs);
	for (int i = 0; i < denied + good; i++) {
		/* the denied ones are the oldest and the smallest */
		snprintf(rel, sizeof rel, i < denied ? "no %d" : "yes %d", i);
		now += i == denied;
		see(rel);
		for (struct sync_entry *x; (x = sync_look(s, now));)
			sync_ready(s, x, i < denied ? 1 : MIB);
	}
	for (int turn = 0; uploaded < good && turn < 100000; turn++) {
		struct sync_entry *x;

		ready_all(1);
		x = sync_start(s, now);
		if (!x) {
			now = sync_wake_ms(s, now);
			continue;
		}
		last = now;
		if (!strncmp(x->rel, "no", 2)) {
			int before = sync_paused(s);

			sync_failed(s, x, SYNC_ACCOUNT, (uint32_t)turn * 2654435761U, now);
			pauses += sync_paused(s) && !before;
		} else {
			sync_done(s, x, now);
			uploaded++;
		}
	}
	check_int(uploaded, good);
	check(last - 100001 < 60000LL * (denied + 2));
	/* each of them is told of once as a pause, not at every retry */
	check(pauses <= denied);
	/* and later it is only that file's */
	for (int i = 0; i < 50; i++) {
		struct sync_entry *x;
		int paused;

		see("yes");
		do {
			if (!(x = sync_look(s, now)))
				now = sync_wake_ms(s, now);
			else
				sync_ready(s, x, 1);
		} while (!(x = sync_start(s, now)));
		paused = sync_paused(s);
		if (!strncmp(x->rel, "no", 2) && !paused)
			sync_failed(s, x, SYNC_ACCOUNT, 5, now);
		else
			sync_done(s, x, now);
	}
	end();
}

static void
test_one_denied_stops_nobody(void)
{
	struct sync_entry *x;

	begin(0, 1);
	see("denied");
	ready_all(1);
	start(&x);
	sync_failed(s, x, SYNC_ACCOUNT, 0, now);
	see("good");
	now += 1000;
	ready_all(1);
	check_str(start(&x), "good");            /* though the other is older */
	sync_done(s, x, now);
	check(!sync_paused(s));
	ready_all(1);
	check_str(start(&x), "denied");          /* brought forward: it may have been a pause of everything */
	check_int(sync_failed(s, x, SYNC_ACCOUNT, 0, now), 1000);
	check(!sync_paused(s));                  /* it was not */
	see("good");
	ready_all(1);
	check_str(start(&x), "good");
	sync_done(s, x, now);
	check(!sync_look(s, now));               /* and successes say nothing of it */
	end();
	denied_among_good(1, 50, 4);
	denied_among_good(10, 50, 4);
	denied_among_good(40, 10, 1);
}

static void
test_settle_within(void)
{
	struct sync_entry *x;

	begin(60000, 1);
	see("running");
	now += 60000;
	ready_all(1);
	start(&x);
	see("running");
	see("a");
	see("b");
	now += 100;
	sync_settle_within(s, 60001, now);       /* it is shorter as it is */
	check_int(sync_wake_ms(s, now), now - 100 + 60000);
	sync_settle_within(s, 5000, now);
	see("c");
	sync_done(s, x, now);
	now += 4999;
	check_str(look(&x), "");
	now++;
	ready_all(1);
	for (const char *const *want = (const char *const[]){"a", "b", "c", "running", NULL}; *want; want++) {
		check_str(start(&x), *want);
		sync_done(s, x, now);
	}
	end();
}

static void
test_hurry(void)
{
	struct sync_entry *x;

	begin(SETTLE, 4);
	offer("net", 1);
	start(&x);
	sync_failed(s, x, SYNC_NETWORK, 0, now);
	now += 300000;
	ready_all(1);
	start(&x);
	sync_failed(s, x, SYNC_NETWORK, UINT32_MAX, now);
	see("quiet");
	see("held");
	now += SETTLE;
	check_str(look(&x), "held");
	sync_held(s, x, now);
	sync_hurry(s, now);
	check_str(look(&x), "net");
	sync_ready(s, x, 1);
	check_str(look(&x), "held");
	sync_held(s, x, now);
	check_str(look(&x), "quiet");
	sync_ready(s, x, 1);
	see("quiet");
	sync_hurry(s, now);
	check_str(look(&x), "held");
	check_str(look(&x), "");                 /* quiet ones stay quiet */
	start(&x);
	sync_failed(s, x, SYNC_ACCOUNT, 0, now);
	check_str(start(&x), "");
	sync_hurry(s, now);                      /* new keys: try them now */
	check(sync_paused(s));
	check_str(look(&x), "net");
	sync_ready(s, x, 1);
	check_int(sync_wake_ms(s, now), now);
	check_str(start(&x), "net");
	end();
}

/* Who is written to, held open or again and again, waits for the writer; the time that nobody but we are to blame for begins after that. */
static void
test_waits_for_us(void)
{
	struct sync_oldest o;
	struct sync_entry *x;
	int64_t due;

	begin(SETTLE, 1);
	see("film");
	for (int i = 0; i < 100; i++) {
		now += SETTLE - 1;
		see("film");
	}
	now += SETTLE;
	check_str(look(&x), "film");
	sync_held(s, x, now);
	sync_oldest(s, &o);
	check_int(o.waiting_ms, -1);
	now += 3600000;
	see("film");
	due = now += SETTLE;
	sync_oldest(s, &o);
	check_int(o.waiting_ms, -1);
	now += 7;
	ready_all(1);
	now += 100;
	sync_oldest(s, &o);
	check_int(o.waiting_ms, due);
	start(&x);
	sync_failed(s, x, SYNC_NETWORK, 0, now);
	now += 100000;
	ready_all(1);
	sync_oldest(s, &o);
	check_int(o.waiting_ms, due);
	end();
}

static void
test_counts(void)
{
	struct sync_counts c;
	struct sync_oldest o;
	struct sync_entry *x;

	begin(0, 1);
	sync_count(s, &c);
	sync_oldest(s, &o);
	check(!c.all && !c.bytes && o.any_ms == -1 && o.waiting_ms == -1);
	see("a");
	now += 5;
	see("b");
	look(&x);
	sync_held(s, x, now);
	sync_count(s, &c);
	check_int(c.all, 2);
	check_int(c.n[SYNC_HELD], 1);
	check_int(c.n[SYNC_QUIET], 1);
	sync_oldest(s, &o);
	check_int(o.any_ms, now - 5);
	check_int(o.waiting_ms, -1);
	look(&x);
	sync_ready(s, x, 10);
	sync_count(s, &c);
	check_int(c.bytes, 10);
	sync_oldest(s, &o);
	check_int(o.waiting_ms, now);
	start(&x);
	sync_count(s, &c);
	sync_oldest(s, &o);
	check_int(o.waiting_ms, -1);
	check_int(o.any_ms, now - 5);
	check_int(c.bytes, 10);
	sync_failed(s, x, SYNC_NETWORK, 0, now);
	sync_count(s, &c);
	check_int(c.bytes, 10);
	sync_oldest(s, &o);
	check_int(o.waiting_ms, now);
	now += 10000;
	ready_all(1000);
	sync_count(s, &c);
	check_int(c.bytes, 2000);
	check_int(c.n[SYNC_READY], 2);
	while ((x = sync_start(s, now)))
		sync_done(s, x, now);
	sync_count(s, &c);
	check(!c.all && !c.bytes);
	end();
}

static void
test_faults(void)
{
	static const struct { enum err_kind kind; int status; const char *code; enum sync_fault want; } rows[] = {
		{ERR_KEYS, 0, "", SYNC_ACCOUNT}, {ERR_TLS, 0, "", SYNC_ACCOUNT},
		{ERR_LOCAL, 0, "", SYNC_FILE}, {ERR_CHANGED, 0, "", SYNC_FILE}, {ERR_USAGE, 0, "", SYNC_FILE},
		{ERR_NAME, 0, "", SYNC_NETWORK}, {ERR_CONNECT, 0, "", SYNC_NETWORK}, {ERR_CONNECT, 407, "", SYNC_ACCOUNT}, {ERR_NET, 0, "", SYNC_NETWORK},
		{ERR_PROTO, 0, "", SYNC_NETWORK}, {ERR_CORRUPT, 0, "", SYNC_NETWORK}, {ERR_STOPPED, 0, "", SYNC_NETWORK},
		{ERR_HTTP, 401, "Unauthorized", SYNC_ACCOUNT}, {ERR_HTTP, 403, "AccessDenied", SYNC_ACCOUNT},
		{ERR_HTTP, 200, "AccessDenied", SYNC_ACCOUNT},
		{ERR_HTTP, 403, "InvalidAccessKeyId", SYNC_ACCOUNT}, {ERR_HTTP, 403, "SignatureDoesNotMatch", SYNC_ACCOUNT},
		{ERR_HTTP, 403, "RequestTimeTooSkewed", SYNC_ACCOUNT}, {ERR_HTTP, 403, "NotEntitled", SYNC_ACCOUNT},
		{ERR_HTTP, 403, "AccountProblem", SYNC_ACCOUNT}, {ERR_HTTP, 403, "", SYNC_ACCOUNT},
		{ERR_HTTP, 404, "NoSuchBucket", SYNC_ACCOUNT}, {ERR_HTTP, 400, "ExpiredToken", SYNC_ACCOUNT}, {ERR_HTTP, 400, "InvalidAccessKeyId", SYNC_ACCOUNT},
		{ERR_HTTP, 400, "InvalidToken", SYNC_ACCOUNT}, {ERR_HTTP, 400, "InvalidBucketName", SYNC_ACCOUNT},
		{ERR_HTTP, 400, "InvalidRegionName", SYNC_ACCOUNT}, {ERR_HTTP, 400, "AuthorizationHeaderMalformed", SYNC_ACCOUNT},
		{ERR_HTTP, 301, "PermanentRedirect", SYNC_ACCOUNT}, {ERR_HTTP, 405, "MethodNotAllowed", SYNC_ACCOUNT},
		{ERR_HTTP, 403, "ObjectLockedByBucketPolicy", SYNC_FILE}, {ERR_HTTP, 403, "InvalidObjectState", SYNC_FILE},
		{ERR_HTTP, 400, "EntityTooLarge", SYNC_FILE}, {ERR_HTTP, 413, "", SYNC_FILE},
		{ERR_HTTP, 400, "KeyTooLongError", SYNC_FILE}, {ERR_HTTP, 400, "InvalidObjectName", SYNC_FILE},
		{ERR_HTTP, 400, "InvalidArgument", SYNC_FILE}, {ERR_HTTP, 412, "PreconditionFailed", SYNC_FILE},
		{ERR_HTTP, 400, "BadDigest", SYNC_NETWORK}, {ERR_HTTP, 400, "RequestTimeout", SYNC_NETWORK},
		{ERR_HTTP, 400, "IncompleteBody", SYNC_NETWORK}, {ERR_HTTP, 404, "NoSuchUpload", SYNC_NETWORK},
		{ERR_HTTP, 409, "OperationAborted", SYNC_NETWORK}, {ERR_HTTP, 409, "", SYNC_NETWORK},
		{ERR_HTTP, 429, "TooManyRequests", SYNC_NETWORK}, {ERR_HTTP, 500, "InternalError", SYNC_NETWORK},
		{ERR_HTTP, 503, "SlowDown", SYNC_NETWORK}, {ERR_HTTP, 502, "", SYNC_NETWORK},
		{ERR_HTTP, 501, "NotImplemented", SYNC_NETWORK}, {ERR_HTTP, 200, "InternalError", SYNC_NETWORK},
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct err x = {.kind = rows[i].kind, .status = rows[i].status};

		strcpy(x.code, rows[i].code);
		check_int(sync_fault_of(&x), rows[i].want);
	}
}

int
main(void)
{
	test_quiet();
	test_seen_meanwhile();
	test_seen_while_running();
	test_gone();
	test_found();
	test_held();
	test_unsure();
	test_rank();
	test_failed_come_last();
	test_jobs();
	test_large_has_its_turn();
	test_retry_waits();
	test_success_brings_forward();
	test_removed();
	test_seen_while_retry();
	test_pause();
	test_probe_fails_otherwise();
	test_probe_gone();
	test_failure_of_looking();
	test_one_denied_stops_nobody();
	test_settle_within();
	test_hurry();
	test_counts();
	test_waits_for_us();
	test_faults();
	sync_close(NULL);
	return test_end();
}
