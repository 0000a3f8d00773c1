#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static int abi_error;                 /* instead of Landlock's version: this errno */
static long abi_said, abi_most = LONG_MAX;   /* the version, and at most so much is said of it */
static uint64_t asked_fs, asked_net;  /* what was to be forbidden */

/* A kernel of another time. */
static long
old_syscall(long number, intptr_t a, intptr_t b, intptr_t c)
{
	if (number == 444 && c == 1) {
		if (abi_error)
			return errno = abi_error, -1;
		abi_said = syscall(number, a, b, c);
		return abi_said < abi_most ? abi_said : abi_most;
	}
	if (number == 444) {
		asked_fs = ((const uint64_t *)a)[0];
		asked_net = ((const uint64_t *)a)[1];
	}
	return syscall(number, a, b, c, 0L);
}

#define FIRST_THREE(n, a, b, c, ...) old_syscall(n, (intptr_t)(a), (intptr_t)(b), (intptr_t)(c))
#define syscall(...) FIRST_THREE(__VA_ARGS__, 0, 0, 0)
#include "../lib/sandbox.c"
#undef syscall
#include "test.h"

static char dir[] = "/tmp/t_sandbox.XXXXXX";
static struct err e;
static long kernel;                   /* Landlock's version here, 0: none */

/* A path below dir, in one of a few buffers. */
static const char *
below(const char *rest)
{
	static char names[8][PATH_MAX];
	static int turn;
	char *name = names[turn++ % 8];

	snprintf(name, PATH_MAX, "%s/%s", dir, rest);
	return name;
}

/* 0, or the errno that opening it got. */
static int
opened(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC, 0600);

	if (fd < 0)
		return errno;
	close(fd);
	return 0;
}

static int
done(int rc)
{
	return rc < 0 ? errno : 0;
}

/* A socket that listens on a port of loopback, which is stored. */
static int
listening(uint16_t *port)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t n = sizeof a;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	check_int(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
	check_int(listen(fd, 128), 0);           /* nobody takes them */
	check_int(getsockname(fd, (struct sockaddr *)&a, &n), 0);
	*port = ntohs(a.sin_port);
	return fd;
}

static int
connected(uint16_t port)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(port)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), rc = done(connect(fd, (struct sockaddr *)&a, sizeof a));

	close(fd);
	return rc;
}

static int
bound(void)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), rc = done(bind(fd, (struct sockaddr *)&a, sizeof a));

	close(fd);
	return rc;
}

/* The exit status of a program that was started, or 127. */
static int
ran(void)
{
	int status = 0;
	pid_t child = fork();

	if (child == 0) {
		execl("/bin/true", "true", (char *)NULL);
		_exit(errno == EACCES ? 126 : 127);
	}
	waitpid(child, &status, 0);
	return WEXITSTATUS(status);
}

/* In a process of its own, for there is no way back. */
static void
apart(void (*work)(void))
{
	int status, before = failures;
	pid_t child;

	fflush(NULL);
	child = fork();
	if (child == 0) {
		work();
		fflush(NULL);
		_exit(failures != before);
	}
	check_int(waitpid(child, &status, 0), child);
	check_int(status, 0);
}

/* state is writable, inbox is watched, one file outside may be written, */
static void
lay_out(void)
{
	static const char *const dirs[] = {"state", "state/sub", "inbox", "inbox/d", "inbox/.state", "other"};
	static const char *const files[] = {"state/f", "inbox/f", "inbox/g", "inbox/d/h", "other/f", "other/g", "log"};
	char command[64];

	snprintf(command, sizeof command, "rm -rf %s/*", dir);
	check_int(system(command), 0);
	for (size_t i = 0; i < sizeof dirs / sizeof *dirs; i++)
		check_int(mkdir(below(dirs[i]), 0700), 0);
	for (size_t i = 0; i < sizeof files / sizeof *files; i++)
		check_int(opened(below(files[i]), O_WRONLY | O_CREAT), 0);
	check_int(symlink("../other/f", below("inbox/link")), 0);
}

/* What has to go on under every kernel. */
static void
check_allowed(void)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int fd;

	check_int(opened(below("state/new"), O_RDWR | O_CREAT | O_EXCL), 0);
	check_int(opened(below("state/f"), O_WRONLY | O_TRUNC), 0);
	check_int(done(truncate(below("state/f"), 0)), 0);
	check_int(done(rename(below("state/new"), below("state/f"))), 0);
	check_int(done(link(below("state/f"), below("state/linked"))), 0);
	check_int(done(unlink(below("state/linked"))), 0);
	check_int(done(mkdir(below("state/d"), 0700)), 0);
	check_int(opened(below("state/d/x"), O_RDWR | O_CREAT), 0);
	if (kernel != 1 && abi_most != 1)
		check_int(done(rename(below("state/d/x"), below("state/sub/x"))), 0);
	else
		check_int(done(rename(below("state/d/x"), below("state/sub/x"))), EXDEV);
	unlink(below("state/d/x"));
	check_int(done(rmdir(below("state/d"))), 0);
	check_int(opened(below("inbox/.state/new"), O_RDWR | O_CREAT), 0);
	check_int(opened(below("log"), O_WRONLY | O_APPEND), 0);
	check_int(opened(below("log"), O_WRONLY | O_TRUNC), 0);
	/* The socket of --status. */
	snprintf(a.sun_path, sizeof a.sun_path, "%s", below("state/socket"));
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	check_int(done(bind(fd, (struct sockaddr *)&a, sizeof a)), 0);
	check_int(listen(fd, 1), 0);
	close(fd);
	check_int(done(unlink(below("state/socket"))), 0);
	/* Reading, everywhere, through links too. */
	check_int(opened(below("other/g"), O_RDONLY), 0);
	check_int(opened(below("inbox/link"), O_RDONLY), 0);
	check_int(opened("/", O_RDONLY | O_DIRECTORY), 0);
	check_int(opened("/etc/passwd", O_RDONLY), 0);
	/* Signals. */
	check_int(done(kill(getppid(), 0)), 0);
}

static void
check_forbidden(void)
{
	check_int(opened(below("other/f"), O_WRONLY), EACCES);
	check_int(opened(below("other/new"), O_WRONLY | O_CREAT), EACCES);
	check_int(opened(below("inbox/f"), O_RDWR), EACCES);
	check_int(opened(below("inbox/new"), O_WRONLY | O_CREAT), EACCES);
	check_int(opened(below("inbox/link"), O_WRONLY), EACCES);
	check_int(done(unlink(below("other/f"))), EACCES);
	check_int(done(mkdir(below("inbox/newdir"), 0700)), EACCES);
	check_int(done(rmdir(below("other"))), EACCES);
	check_int(done(symlink("x", below("state/link"))), EACCES);
	check_int(done(mkfifo(below("state/fifo"), 0600)), EACCES);
	check_int(done(rename(below("other/f"), below("other/z"))), EACCES);
	check(done(rename(below("state/f"), below("other/z"))) != 0);
	check(done(link(below("other/f"), below("state/z"))) != 0);
	check_int(ran(), 126);
}

static void
enter(const char *removable, uint16_t port)
{
	const struct sandbox s = {
		.writable = {NULL, below("state"), below("log"), below("inbox/.state"), below("missing/too")},
		.removable = removable ? below(removable) : NULL,
		.ports = {0, port},
	};

	check_int(ran(), 0);
	e = (struct err){0};
	check_int(sandbox_enter(&s, &e), kernel && !abi_error);
	check(!*e.msg == (kernel && !abi_error));
	check_int(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0), 1);
}

static void
nothing_to_remove(void)
{
	enter(NULL, 0);
	check_allowed();
	if (kernel && !abi_error) {
		check_forbidden();
		check_int(done(unlink(below("inbox/f"))), EACCES);
		check_int(done(rename(below("inbox/f"), below("inbox/z"))), EACCES);
	} else
		check_int(opened(below("other/new"), O_WRONLY | O_CREAT), 0);
}

static void
something_to_remove(void)
{
	enter("inbox", 0);
	check_allowed();
	if (kernel && !abi_error)
		check_forbidden();
	/* As --delete-after does it: hidden first, back when somebody was writing. */
	check_int(done(rename(below("inbox/d/h"), below("inbox/d/.hidden"))), 0);
	check_int(done(link(below("inbox/d/.hidden"), below("inbox/d/h"))), 0);
	check_int(done(unlink(below("inbox/d/.hidden"))), 0);
	check_int(done(unlink(below("inbox/d/h"))), 0);
	check_int(done(unlink(below("inbox/f"))), 0);
	check_int(done(rmdir(below("inbox/d"))), kernel && !abi_error ? EACCES : 0);
}

static uint16_t allowed_port, other_port;

static void
one_port(void)
{
	int limited = kernel >= 4 && abi_most >= 4 && !abi_error;

	enter(NULL, allowed_port);
	check_int(connected(allowed_port), 0);
	check_int(connected(other_port), limited ? EACCES : 0);
	check_int(bound(), limited ? EACCES : 0);
}

static void
any_port(void)
{
	enter(NULL, 0);
	check_int(connected(allowed_port), 0);
	check_int(connected(other_port), 0);
}

/* What each version knows and no more, for else the kernel refuses it all (Linux's Documentation/userspace-api/landlock.rst). */
static void
check_asked(void)
{
	static const uint64_t known[] = {0x1fff, 0x3fff, 0x7fff, 0x7fff, 0xffff, 0xffff, 0xffff};

	if (!kernel || abi_error)
		return;
	enter("inbox", allowed_port);
	for (long abi = 1; abi <= 7; abi++)
		if (abi == (abi_most < kernel ? abi_most : kernel)) {
			check_int(asked_fs & ~known[abi - 1], 0);
			check_int(asked_fs, known[abi - 1] & ~(uint64_t)0xc);
			check_int(asked_net, abi >= 4 ? 3 : 0);
		}
}

static void
test_all(void)
{
	lay_out();
	apart(nothing_to_remove);
	lay_out();
	apart(something_to_remove);
	lay_out();
	apart(one_port);
	apart(any_port);
	apart(check_asked);
}

static void
hopeless(void)
{
	const struct sandbox s = {.writable = {"/etc/passwd/x"}};

	check_int(sandbox_enter(&s, &e), kernel ? -1 : 0);
	check(!kernel || strstr(e.msg, "/etc/passwd/x: Not a directory") != NULL);
	/* It goes on as it was. */
	check_int(opened(below("other/new"), O_WRONLY | O_CREAT), 0);
}

int
main(void)
{
	static const int errors[] = {ENOSYS, EOPNOTSUPP, EPERM};
	char command[64];
	int a, b;

	if (!mkdtemp(dir))
		return 1;
	kernel = syscall(444, NULL, 0, 1);
	kernel = kernel < 0 ? 0 : kernel;
	a = listening(&allowed_port);
	b = listening(&other_port);
	test_all();
	/* Older kernels, by what they say of themselves. */
	for (abi_most = 1; abi_most < kernel; abi_most++)
		test_all();
	abi_most = LONG_MAX;
	for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
		abi_error = errors[i];
		test_all();
	}
	abi_error = 0;
	apart(hopeless);
	close(a);
	close(b);
	snprintf(command, sizeof command, "rm -rf %s", dir);
	return system(command) != 0 || test_end();
}
