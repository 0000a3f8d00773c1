/* Linked into r2 beside its own objects (make build/asan/r2-fail, every function below by --wrap): a call that the environment names fails.
   A call site is known by its whole chain of callers, as a number that is the same in every run.
     FAIL_LOG=FILE    each call is a line there: SITE FUNCTION, and the addresses of the chain for addr2line
     FAIL_SITE=SITE FAIL_WHEN=N   there the Nth call fails, counted from 1 (SITE without callers: all of that function),
     FAIL_TIMES=N     … so many calls on end (1); 0: every one from then on
     FAIL_ERRNO=N     … with this error; 0: less is read or written than could be; -1: the end of the file
   A wait for the next attempt at a request takes a millisecond. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { DEPTH = 24 };

extern const char __executable_start, etext;   /* the linker's */

long __real_syscall(long, ...);

static int log_fd = -1, fail_errno_is;
static uint64_t fail_site;
static long fail_when, fail_times;
static long calls;                      /* at that site; atomic */

static long
number(const char *name, long otherwise)
{
	const char *s = getenv(name);

	return s ? strtol(s, NULL, 10) : otherwise;
}

__attribute__((constructor)) static void
begin(void)
{
	const char *file = getenv("FAIL_LOG"), *site = getenv("FAIL_SITE");

	if (file)
		log_fd = (int)__real_syscall(SYS_openat, AT_FDCWD, file, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
	fail_site = site ? strtoull(site, NULL, 16) : 0;
	fail_when = number("FAIL_WHEN", 1);
	fail_times = number("FAIL_TIMES", 1);
	fail_errno_is = (int)number("FAIL_ERRNO", EIO);
}

/* The chain of callers within r2, by frame pointers; it ends where libc called us. */
static int
callers(void *const *frame, uintptr_t chain[DEPTH])
{
	uintptr_t base = (uintptr_t)&__executable_start, size = (uintptr_t)&etext - base;
	int n = 0;

	while (n < DEPTH) {
		uintptr_t from = (uintptr_t)frame[1] - base;
		void *const *next = frame[0];

		if (from >= size)
			break;
		chain[n++] = from;
		if (next <= frame)
			break;
		frame = next;
	}
	return n;
}

static uint64_t
hash_of(const char *name, const uintptr_t *chain, int n)
{
	uint64_t h = 0xcbf29ce484222325;    /* FNV-1a */

	for (; *name; name++)
		h = (h ^ (unsigned char)*name) * 0x100000001b3;
	for (int i = 0; i < n; i++)
		for (int k = 0; k < 32; k += 8)
			h = (h ^ (chain[i] >> k & 255)) * 0x100000001b3;
	return h;
}

static void
note(uint64_t site, const char *name, const uintptr_t *chain, int n)
{
	char line[64 + DEPTH * 20];
	int len = snprintf(line, sizeof line, "%016" PRIx64 " %s", site, name);

	for (int i = 0; i < n; i++)
		len += snprintf(line + len, sizeof line - (size_t)len, " %" PRIxPTR, chain[i] - 1);
	line[len++] = '\n';
	__real_syscall(SYS_write, log_fd, line, (size_t)len);
}

/* 1: this call is to fail. */
static int
fails(const char *name, void *const *frame)
{
	uintptr_t chain[DEPTH];
	int n = callers(frame, chain), before = errno;
	uint64_t site = hash_of(name, chain, n);
	long call;

	if (log_fd >= 0)
		note(site, name, chain, n);
	errno = before;
	if (!fail_site || (site != fail_site && hash_of(name, chain, 0) != fail_site))
		return 0;
	call = __atomic_add_fetch(&calls, 1, __ATOMIC_RELAXED);
	return call >= fail_when && (!fail_times || call < fail_when + fail_times);
}

static long
part_of(long n)
{
	return n > 1 ? n / 2 : n;
}

/* All arguments are numbers or pointers, and on the machines we build for it does no harm to pass more than are taken. */
#define PARAMS long a, long b, long c, long d, long e, long f
#define WRAP(name, when_it_fails) \
	long __real_##name(long, ...); \
	long __wrap_##name(PARAMS); \
	long \
	__wrap_##name(PARAMS) \
	{ \
		if (fails(#name, __builtin_frame_address(0))) { \
			errno = fail_errno_is; \
			when_it_fails; \
		} \
		return __real_##name(a, b, c, d, e, f); \
	}

#define CALL(name) WRAP(name, return -1)                /* -1 and errno */
#define NOTHING(name) WRAP(name, return 0)              /* NULL and errno */
#define NUMBER(name) WRAP(name, return fail_errno_is)   /* the error itself */
/* count is the argument that says how many bytes. */
#define BYTES(name, count) \
	WRAP(name, if (fail_errno_is > 0) return -1; if (fail_errno_is < 0) return 0; (count) = part_of(count))
/* The descriptor is gone whatever close(2) says. */
#define CLOSED(name) WRAP(name, __real_##name(a, b, c, d, e, f); errno = fail_errno_is; return -1)

NOTHING(malloc)
NOTHING(calloc)
NOTHING(realloc)
NOTHING(strdup)
NOTHING(realpath)
NOTHING(opendir)
NOTHING(readdir)
NOTHING(getcwd)
CALL(access)
CALL(accept4)
CALL(bind)
CALL(chdir)
CLOSED(close)
CALL(connect)
CALL(eventfd)
CALL(fallocate)
CALL(fchdir)
CALL(fcntl)
CALL(fdatasync)
CALL(flock)
CALL(_Fork)
CALL(fstat)
CALL(fstatat)
CALL(fstatfs)
CALL(fsync)
CALL(ftruncate)
CALL(futimens)
CALL(getrandom)
CALL(getsockopt)
CALL(inotify_add_watch)
CALL(inotify_init1)
CALL(inotify_rm_watch)
CALL(ioctl)
CALL(linkat)
CALL(listen)
CALL(lstat)
CALL(mkdir)
CALL(mkdirat)
CALL(mmap)
CALL(open)
CALL(openat)
CALL(pipe2)
CALL(poll)
CALL(posix_fadvise)
CALL(readlink)
CALL(rename)
CALL(renameat)
CALL(setpriority)
CALL(setsockopt)
CALL(sigaction)
CALL(signalfd)
CALL(socket)
CALL(stat)
CALL(sync_file_range)
CALL(syscall)
CALL(unlink)
CALL(unlinkat)
BYTES(read, c)
BYTES(pread, c)
BYTES(recv, c)
BYTES(write, c)
BYTES(pwrite, c)
BYTES(send, c)
BYTES(sendto, c)
NUMBER(pthread_create)
NUMBER(pthread_mutex_init)
NUMBER(pthread_cond_init)
NUMBER(getaddrinfo)

/* lib/retry.h */
struct err;
int __real_retry_wait_ms(const struct err *e, int next, int attempts, int is_write, uint32_t random);
int __wrap_retry_wait_ms(const struct err *e, int next, int attempts, int is_write, uint32_t random);
int
__wrap_retry_wait_ms(const struct err *e, int next, int attempts, int is_write, uint32_t random)
{
	int ms = __real_retry_wait_ms(e, next, attempts, is_write, random);

	return ms > 0 ? 1 : ms;
}

int __wrap_nanosleep(const struct timespec *t, struct timespec *rest);
int
__wrap_nanosleep(const struct timespec *t, struct timespec *rest)
{
	const struct timespec ms = {0, 1000000};

	(void)t;
	(void)rest;
	return (int)__real_syscall(SYS_nanosleep, &ms, (void *)0);
}
