/* Whose clock said what is old. */
#include "../applets/cleanup_files.c"
#include "../applets/json.c"
#include "test.h"

struct client_args client_args;
struct progress transfer_progress;

void
progress_total(struct progress *p, uint64_t bytes, uint64_t files)
{
	(void)p, (void)bytes, (void)files;
}

void
progress_file_done(struct progress *p)
{
	(void)p;
}

void
cost_add(struct cost_use *u, const struct s3_entry *x)
{
	(void)u, (void)x;
}

/* What cleanup says when the cutoff was made by a clock so far ahead of ours as it is now, and the server's is so far ahead of that. */
static const char *
says(int64_t then_s, int64_t server_s)
{
	static struct client client;
	static struct err err;
	struct cleanup c = {.client = &client, .begun_s = time(NULL) + then_s, .begun_ms = clock_ms()};

	client.store.ahead_s = server_s;
	return cleanup_clock(&c, &err) == 0 ? "" : err.msg;
}

int
main(void)
{
	check_str(says(0, 0), "");
	check_str(says(82800, 0), "");
	check_str(says(-90000, -90000), "");
	check(strstr(says(0, 90060), "25 hours behind") != NULL);
	/* It was set right, or wrong, meanwhile. */
	check(strstr(says(8640060, 0), "2400 hours ahead of") != NULL);
	check(strstr(says(-8640060, 0), "2400 hours behind") != NULL);
	check_str(says(8640060, 8640060), "");
	return test_end();
}
