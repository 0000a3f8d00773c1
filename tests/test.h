#pragma once
/* Checks for unit tests: each counts, a failed one says where and what; end main with `return test_end();`. */
#include <stdio.h>
#include <string.h>

static int checks, failures;

#define check(c) (checks++, (c) ? (void)0 : (void)(failures++, \
	fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #c)))
#define check_str(got, want) test_str(__FILE__, __LINE__, #got, got, want)
#define check_int(got, want) test_int(__FILE__, __LINE__, #got, (long long)(got), (long long)(want))

static inline void
test_str(const char *file, int line, const char *what, const char *got, const char *want)
{
	checks++;
	if (got && !strcmp(got, want))
		return;
	failures++;
	fprintf(stderr, "%s:%d: %s: got \"%s\", want \"%s\"\n", file, line, what, got ? got : "(null)", want);
}

static inline void
test_int(const char *file, int line, const char *what, long long got, long long want)
{
	checks++;
	if (got == want)
		return;
	failures++;
	fprintf(stderr, "%s:%d: %s: got %lld, want %lld\n", file, line, what, got, want);
}

/* Print the count that tests/run adds up; the test program's exit status. */
static inline int
test_end(void)
{
	printf("%d checks, %d failed\n", checks, failures);
	return failures != 0;
}
