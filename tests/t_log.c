#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#include "log.h"
#include "test.h"

enum { LINE_MAX_BYTES = 8192 };

/* What the lines on descriptor 2 become while a test looks. */
static int saved = -1, capture = -1;

static void
begin(void)
{
	char name[] = "/tmp/t_log.XXXXXX";

	saved = dup(2);
	capture = mkstemp(name);
	unlink(name);
	dup2(capture, 2);
}

static const char *
end(void)
{
	static char text[1 << 20];
	ssize_t n = pread(capture, text, sizeof text - 1, 0);

	dup2(saved, 2);
	close(saved);
	close(capture);
	text[n > 0 ? n : 0] = '\0';
	return text;
}

static void
test_format(void)
{
	char out[200];

	check_int(log_format_r2(out, sizeof out, 1767003000, LOG_INFO, "R2 client ready: runpod"), 58);
	check_str(out, "[R2] 2025-12-29 10:10:00 - INFO - R2 client ready: runpod\n");
	log_format_r2(out, sizeof out, 1767003002, LOG_WARNING, "Attempt 1/5 failed: SlowDown");
	check_str(out, "[R2] 2025-12-29 10:10:02 - WARNING - Attempt 1/5 failed: SlowDown\n");
	log_format_r2(out, sizeof out, 1767003017, LOG_ERROR, "File not found: nope.png");
	check_str(out, "[R2] 2025-12-29 10:10:17 - ERROR - File not found: nope.png\n");
	log_format_r2(out, sizeof out, 1767003017, LOG_DEBUG, "");
	check_str(out, "[R2] 2025-12-29 10:10:17 - DEBUG - \n");
	log_format_r2(out, sizeof out, 1767003017, LOG_INFO, "a\nb\033[2J\xff\xc3\xa9\\");
	check_str(out, "[R2] 2025-12-29 10:10:17 - INFO - a\\nb\\x1b[2J\\xff\xc3\xa9\\\n");
}

static void
test_short_room(void)
{
	static const char whole[] = "[R2] 2025-12-29 10:10:17 - INFO - 0123456789\n";
	char out[64];

	check_int(log_format_r2(out, sizeof whole, 1767003017, LOG_INFO, "0123456789"), sizeof whole - 1);
	check_str(out, whole);
	check_int(log_format_r2(out, sizeof whole - 1, 1767003017, LOG_INFO, "0123456789"), sizeof whole - 2);
	check_str(out, "[R2] 2025-12-29 10:10:17 - INFO - 012345\xe2\x80\xa6\n");
	for (unsigned cap = 0; cap < sizeof whole; cap++) {
		unsigned n;

		memset(out, 'G', sizeof out);
		n = log_format_r2(out, cap, 1767003017, LOG_INFO, "0123456789");
		check(n < cap || (!cap && !n));
		check_int(out[cap], 'G');
		check(!n || (out[n - 1] == '\n' && out[n] == '\0'));
	}
}

static void
test_levels(void)
{
	const char *text;

	begin();
	log_r2(LOG_DEBUG, "hidden");
	log_r2(LOG_INFO, "one %d", 1);
	log_set_level(LOG_ERROR);
	log_r2(LOG_WARNING, "hidden");
	log_r2(LOG_ERROR, "two");
	log_set_level(LOG_DEBUG);
	log_r2(LOG_DEBUG, "three");
	text = end();
	log_set_level(LOG_INFO);
	check(strstr(text, "hidden") == NULL);
	check(strstr(text, " - INFO - one 1\n") != NULL);
	check(strstr(text, " - ERROR - two\n") != NULL);
	check(strstr(text, " - DEBUG - three\n") != NULL);
	check_int(strncmp(text, "[R2] 2", 6), 0);
}

static void
test_long_line(void)
{
	static char text[20000];
	const char *out;

	memset(text, 'x', sizeof text - 1);
	begin();
	log_r2(LOG_INFO, "%s", text);
	out = end();
	check_int(strlen(out), LINE_MAX_BYTES - 1);
	check_str(out + strlen(out) - 5, "x\xe2\x80\xa6\n");
	memset(text, '\n', sizeof text - 1);
	begin();
	log_r2(LOG_INFO, "%s", text);
	out = end();
	check(strlen(out) < LINE_MAX_BYTES);
	check(strchr(out, '\n') == out + strlen(out) - 1);
}

static void *
chatter(void *arg)
{
	for (int i = 0; i < 200; i++)
		log_r2(LOG_INFO, "%s", (char *)arg);
	return NULL;
}

/* Lines of threads never mix: each is one of the two texts, whole. */
static void
test_threads(void)
{
	static char a[300], b[300];
	pthread_t t[2];
	int lines = 0, wrong = 0;

	memset(a, 'a', sizeof a - 1);
	memset(b, 'b', sizeof b - 1);
	begin();
	fcntl(capture, F_SETFL, O_APPEND);
	pthread_create(&t[0], NULL, chatter, a);
	pthread_create(&t[1], NULL, chatter, b);
	pthread_join(t[0], NULL);
	pthread_join(t[1], NULL);
	for (char *p = strtok((char *)end(), "\n"); p; p = strtok(NULL, "\n"), lines++)
		wrong += strlen(p) < 300 || (strcmp(p + strlen(p) - 299, a) && strcmp(p + strlen(p) - 299, b));
	check_int(lines, 400);
	check_int(wrong, 0);
}

/* A log that cannot be written never stops the work. */
static void
test_unwritable(void)
{
	int full = open("/dev/full", O_WRONLY);

	begin();
	dup2(full, 2);
	log_r2(LOG_ERROR, "nowhere");
	close(2);
	log_r2(LOG_ERROR, "nowhere");
	check_str(end(), "");
	close(full);
}

int
main(void)
{
	setenv("TZ", "UTC0", 1);
	tzset();
	test_format();
	test_short_room();
	test_levels();
	test_long_line();
	test_threads();
	test_unwritable();
	return test_end();
}
