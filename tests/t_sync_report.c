#include "../applets/json.c"
#include "../applets/sync_report.c"
#include "test.h"

/* --health's line when the oldest of two files waits for so long; < 0: none waits. */
static const char *
says(int64_t waits_ms, const char *last_error)
{
	static struct daemon d = {.now = 1000000, .ready = 1};
	static char out[256];
	struct figures f = {.c.all = 2, .o.waiting_ms = waits_ms < 0 ? -1 : d.now - waits_ms};
	struct buf b = BUF(out);

	snprintf(d.last_error, sizeof d.last_error, "%s", last_error);
	health(&d, &f, &b);
	return out;
}

int
main(void)
{
	check_str(says(-1, "an old one"), "ok");
	check_str(says(60000, ""), "ok");
	check_str(says(60001, ""), "2 files wait, the oldest for 60 s: uploads are slower than new files come");
	check_str(says(90000, "a.png: AccessDenied"), "2 files wait, the oldest for 90 s: a.png: AccessDenied");
	return test_end();
}
