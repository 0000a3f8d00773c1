/* launch OUT PROGRAM [ARG]...: runs it, writes "wall cpu rss" to the file OUT (microseconds twice, KiB), ends as it did.
 * Small on purpose: the kernel counts what stood in the parent's memory before exec towards the child's ru_maxrss. */
#include <spawn.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static long
microseconds(const struct timeval *t)
{
	return t->tv_sec * 1000000L + t->tv_usec;
}

static long
now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000L + t.tv_nsec / 1000;
}

int
main(int argc, char **argv)
{
	struct rusage r;
	FILE *out;
	long start;
	pid_t pid;
	int status;

	if (argc < 3)
		return 2;
	start = now();
	if (posix_spawnp(&pid, argv[2], NULL, NULL, argv + 2, environ) != 0 || wait4(pid, &status, 0, &r) < 0)
		return 1;
	start = now() - start;
	out = fopen(argv[1], "we");
	if (!out || fprintf(out, "%ld %ld %ld\n", start, microseconds(&r.ru_utime) + microseconds(&r.ru_stime), r.ru_maxrss) < 0 ||
		fclose(out) != 0)
		return 1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
