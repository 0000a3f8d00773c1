#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include "config.h"
#include "enc.h"
#include "sync_child.h"

enum { NOT_FOUND = 127, NOT_RUN = 126 };

static void
hide_keys(void)
{
	char file[64];

	for (const char *const *name = config_keys; *name; name++) {
		unsetenv(*name);
		snprintf(file, sizeof file, "%s_FILE", *name);
		unsetenv(file);
	}
}

/* A new program starts with the signals of one that was started by a shell. */
static void
default_signals(void)
{
	sigset_t none;

	signal(SIGIO, SIG_DFL);
	signal(SIGPIPE, SIG_DFL);
	signal(SIGXFSZ, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

/* The terminal is for the process group to, when it is for from's now. */
static void
pass_terminal(pid_t from, pid_t to)
{
	void (*old)(int);

	if (tcgetpgrp(STDIN_FILENO) != from)
		return;
	old = signal(SIGTTOU, SIG_IGN);
	tcsetpgrp(STDIN_FILENO, to);
	signal(SIGTTOU, old);
}

/* In a process group of its own, so that what a terminal sends to ours does not reach it twice; in front when we were. */
static void
own_group(void)
{
	pid_t ours = getpgrp();

	setpgid(0, 0);
	pass_terminal(ours, getpgrp());
}

_Noreturn static void
run_command(int go, char **argv)
{
	char byte, shown[ENC_SHOW_CAP];
	ssize_t n;
	int why;

	/* Who is to end before it was started ends now: the first scan of a large tree takes its time. */
	default_signals();
	do
		n = read(go, &byte, 1);
	while (n < 0 && errno == EINTR);
	if (n != 1)
		_exit(NOT_RUN);
	own_group();
	execvp(argv[0], argv);
	why = errno;
	fprintf(stderr, "r2 sync: %s: %s\n", enc_show_in(shown, sizeof shown, argv[0]), strerror(why));
	_exit(why == ENOENT ? NOT_FOUND : NOT_RUN);
}

int
child_fork(struct child *c, char **argv, int hide, struct err *e)
{
	int fds[2];

	/* There are no other threads yet, for whose locks fork would take care. */
	if (pipe2(fds, O_CLOEXEC) < 0 || (c->pid = _Fork()) < 0)
		return fail_errno(e, "COMMAND cannot be started");
	if (c->pid == 0) {
		close(fds[1]);
		if (hide)
			hide_keys();
		run_command(fds[0], argv);
	}
	close(fds[0]);
	c->go = fds[1];
	/* Strays of COMMAND become ours, though we may not be process 1. */
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	return 0;
}

void
child_start(struct child *c)
{
	ssize_t n;

	if (c->go < 0)
		return;
	do
		n = write(c->go, "", 1);
	while (n < 0 && errno == EINTR);
	close(c->go);
	c->go = -1;
}

/* 0 when pid has no handler for it: it would do nothing, or end pid. */
static int
catches(pid_t pid, int sig)
{
	char path[32], text[4096] = "";
	const char *caught;
	int fd;

	snprintf(path, sizeof path, "/proc/%ld/status", (long)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 1;
	if (read(fd, text, sizeof text - 1) < 0)
		*text = '\0';
	close(fd);
	caught = strstr(text, "SigCgt:");
	return !caught || (strtoull(caught + 7, NULL, 16) >> (sig - 1) & 1);
}

void
child_raise(int sig)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, sig);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	pthread_kill(pthread_self(), sig);   /* this thread must not get any further */
	sigprocmask(SIG_BLOCK, &set, NULL);
}

void
child_signal(const struct child *c, int sig)
{
	/* SIGHUP is for the daemon too, to read its keys again: that must not end a COMMAND that knows nothing of it. */
	if (!c->ended && (sig != SIGHUP || catches(c->pid, sig)))
		kill(c->pid, sig);
	/* Ctrl-Z, when standard input is not the terminal: it is us the shell waits for. Where it is, stop_too comes once COMMAND has stopped. */
	if (sig == SIGTSTP && !isatty(STDIN_FILENO))
		child_raise(sig);
}

/* COMMAND has been stopped. When it was by its terminal (Ctrl-Z), it is us the shell waits for: it gets the terminal, and when it goes on with us,
   so does COMMAND. Without a shell that could let us go on, the kernel ignores SIGTSTP. */
static void
stop_too(const struct child *c, int sig)
{
	if (sig == SIGSTOP || !isatty(STDIN_FILENO))
		return;
	pass_terminal(c->pid, getpgrp());
	child_raise(sig == SIGTSTP ? SIGTSTP : SIGSTOP);
	pass_terminal(getpgrp(), c->pid);
	kill(-c->pid, SIGCONT);
}

void
child_reap(struct child *c)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG | WUNTRACED)) > 0) {
		if (pid != c->pid || c->ended)
			continue;
		if (WIFSTOPPED(status)) {
			stop_too(c, WSTOPSIG(status));
			continue;
		}
		c->ended = 1;
		c->status = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
		pass_terminal(c->pid, getpgrp());
	}
}
