#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>
#include "buf.h"
#include "clock.h"
#include "sync_ask.h"

#define SOCKET_NAME "socket"

enum {
	ANSWER_S = 5,           /* a daemon that says nothing for this long is stopped or stuck */
	NO_ANSWER_MS = 100,
};

static const struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = SOCKET_NAME};

/* bind or connect, with the state directory as the working one, since a socket's path has 108 bytes at most. */
static int
there(const char *state, int (*call)(int, const struct sockaddr *, socklen_t), int fd)
{
	int here = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC), rc, why;   /* which need not be readable */

	if (chdir(state) < 0) {
		why = errno;
		rc = -1;
	} else {
		if (call == bind)
			unlink(SOCKET_NAME);
		rc = call(fd, (const struct sockaddr *)&address, sizeof address);
		why = errno;
	}
	if (here >= 0) {
		if (fchdir(here) < 0)
			rc = -1;
		close(here);
	}
	errno = why;
	return rc;
}

int
ask_listen(const char *state, struct err *e)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	mode_t old = umask(0177);
	int rc = fd < 0 ? -1 : there(state, bind, fd);

	umask(old);
	if (rc < 0 || listen(fd, 8) < 0) {
		fail_errno(e, "%s/" SOCKET_NAME, state);
		if (fd >= 0)
			close(fd);
		return -1;
	}
	return fd;
}

void
ask_close(int fd, const char *state)
{
	char path[PATH_MAX];
	struct buf b = BUF(path);

	if (fd < 0)
		return;
	buf_fmt(&b, "%s/" SOCKET_NAME, state);
	unlink(path);
	close(fd);
}

void
ask_answer(int fd, const struct ask_report *r)
{
	int c = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (c < 0) {
		/* Without a descriptor for it, poll goes on telling of who waits. */
		clock_pause(NULL, NO_ANSWER_MS);
		return;
	}
	/* The whole report fits the socket's buffer; whoever does not take it gets less. */
	send(c, r, sizeof *r, MSG_NOSIGNAL);
	close(c);
}

static int
receive(int fd, struct ask_report *r)
{
	char *p = (char *)r;
	size_t have = 0;

	while (have < sizeof *r) {
		ssize_t n = recv(fd, p + have, sizeof *r - have, 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return -1;
		have += (size_t)n;
	}
	r->health[sizeof r->health - 1] = r->json[sizeof r->json - 1] = r->text[sizeof r->text - 1] = '\0';
	return 0;
}

int
ask_daemon(const char *state, struct ask_report *r, struct err *e)
{
	struct timeval limit = {.tv_sec = ANSWER_S};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), rc = 0;

	if (fd < 0)
		return fail_errno(e, "socket");
	/* To connect is to send: it waits while as many are unanswered as the daemon listens for, and says EAGAIN then. */
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
	if (there(state, connect, fd) < 0 && errno != EAGAIN)
		rc = errno == ECONNREFUSED || errno == ENOENT
			? fail(e, ERR_LOCAL, "the daemon is not running (%s)", state) : fail_errno(e, "%s/" SOCKET_NAME, state);
	else if (receive(fd, r) < 0)
		rc = fail(e, ERR_LOCAL, "the daemon does not answer: stopped, or busy for more than %d s", ANSWER_S);
	close(fd);
	return rc;
}
