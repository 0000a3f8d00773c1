#include <errno.h>
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>
#include "test.h"

/* What the machine would have to be short of, the tests take away here. */
static int watches_left = -1;   /* -1: as many as the kernel has */

static int
test_add_watch(int fd, const char *path, uint32_t mask)
{
	if (watches_left == 0) {
		errno = ENOSPC;
		return -1;
	}
	if (watches_left > 0)
		watches_left--;
	return inotify_add_watch(fd, path, mask);
}

#define inotify_add_watch test_add_watch
#include "../lib/watch_tree.c"
#include "../lib/watch_fs.c"
#include "../lib/watch_scan.c"
#include "../lib/watch_root.c"
#include "../lib/watch.c"
#undef inotify_add_watch

/* In memory where that can be: thousands of directories are made. */
static char in_memory[] = "/dev/shm/r2-watch.XXXXXX", on_disk[] = "/tmp/r2-watch.XXXXXX";
static const char *top;      /* the tests stand in it; "tree" is watched */
static char root[64];
static int64_t now;          /* passes when a test says so */
static struct watch *watch;

/* What was told, in its order: "scan REL", "event REL", "gone REL", "gone REL/", "note TEXT". */
static struct {
	char **line;
	size_t n, cap;
} told;

static void
tell(const char *what, const char *rel, const char *end)
{
	size_t size = strlen(what) + strlen(rel) + strlen(end) + 1;

	if (told.n == told.cap)
		told.line = realloc(told.line, (told.cap = 2 * told.cap + 64) * sizeof *told.line);
	if (!told.line || !(told.line[told.n] = malloc(size)))
		abort();
	snprintf(told.line[told.n++], size, "%s%s%s", what, rel, end);
}

static void
clear(void)
{
	while (told.n)
		free(told.line[--told.n]);
}

/* How many lines are exactly that; how many begin so. */
static int
count(const char *line)
{
	int k = 0;

	for (size_t i = 0; i < told.n; i++)
		k += !strcmp(told.line[i], line);
	return k;
}

static int
begins(const char *text)
{
	int k = 0;

	for (size_t i = 0; i < told.n; i++)
		k += !strncmp(told.line[i], text, strlen(text));
	return k;
}

static int
on_wanted(void *arg, const char *rel, int is_dir)
{
	const char *base = strrchr(rel, '/');

	(void)arg;
	(void)is_dir;
	return *(base ? base + 1 : rel) != '.';
}

static void
on_changed(void *arg, const char *rel, const struct stat *st)
{
	(void)arg;
	tell(st ? "scan " : "event ", rel, "");
}

static void
on_gone(void *arg, const char *rel, int is_dir)
{
	(void)arg;
	tell("gone ", rel, is_dir ? "/" : "");
}

static void
on_note(void *arg, const char *text)
{
	(void)arg;
	tell("note ", text, "");
}

static struct watch_state
state(void)
{
	struct watch_state s;

	watch_look(watch, &s);
	return s;
}

static int
readable(void)
{
	struct pollfd p = {.fd = watch_fd(watch), .events = POLLIN};

	return p.fd >= 0 && poll(&p, 1, 0) == 1;
}

/* Step until there is nothing to do at this time. The kernel has queued an event when the call that made it returns. */
static void
settle(void)
{
	do
		watch_step(watch, now);
	while (readable() || (watch_wake_ms(watch) >= 0 && watch_wake_ms(watch) <= now));
}

static void
open_as(struct watch_options o)
{
	struct err e;

	o.root = root;
	o.rescan_ms = o.rescan_ms ? o.rescan_ms : 300000;
	o.wanted = on_wanted;
	o.changed = on_changed;
	o.gone = on_gone;
	o.note = on_note;
	watch = watch_open(&o, &e);
	check(watch != NULL);
	if (!watch)
		abort();
}

static void
run(const char *fmt, ...)
{
	char command[4096];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(command, sizeof command, fmt, ap);
	va_end(ap);
	check_int(system(command), 0);
}

/* Watch the tree, which holds what is made by then, until it has been scanned; then nothing has been told. */
static void
begin_watch(void)
{
	open_as((struct watch_options){.poll = 0});
	settle();
	check_int(state().scanned, 1);
	clear();
}

static void
end_watch(void)
{
	watch_close(watch);
	watch = NULL;
	clear();
	run("chmod -R u+rwx . && rm -rf ./* ./.[!.]*");
	watches_left = -1;
	check_int(mkdir("tree", 0755), 0);
}

static void
first_scan(void)
{
	run("mkdir -p tree/a/b tree/.no && echo x >tree/f && echo x >tree/a/b/g && echo x >tree/.no/x && echo x >tree/a/.x");
	open_as((struct watch_options){.poll = 0});
	check_int(watch_wake_ms(watch), 0);
	check_int(state().scanned, 0);
	settle();
	check_int(told.n, 2);
	check_int(count("scan f"), 1);
	check_int(count("scan a/b/g"), 1);
	check_int(state().scanned, 1);
	check_int(state().scanning, 0);
	check_int(state().dirs, 3);
	check_int(state().polled, 0);
	check_int(watch_wake_ms(watch), now + 300000);
	end_watch();
}

static void
files(void)
{
	begin_watch();
	run("echo x >tree/f");
	settle();
	check_int(count("event f"), 2);   /* there; closed */
	check_int(told.n, 2);
	clear();
	run("echo x >tree/.tmp && mv tree/.tmp tree/g && ln tree/g tree/h && mkfifo tree/p && ln -s g tree/l && ln -s no tree/dangling");
	settle();
	check_int(count("event g"), 1);
	check_int(count("event h"), 1);
	check_int(count("event l"), 1);
	check_int(told.n, 3 + begins("event g") - 1);
	clear();
	run("rm tree/f && mv tree/g tree/i && chmod 600 tree/i");
	settle();
	check_int(count("gone f"), 1);
	check_int(count("gone g"), 1);
	check_int(count("event i"), 2);
	end_watch();
}

static void
new_directories(void)
{
	begin_watch();
	run("mkdir -p tree/d/e/f && echo x >tree/d/x && echo x >tree/d/e/y && echo x >tree/d/e/f/z");
	settle();
	check(count("scan d/x") >= 1);
	check(count("scan d/e/y") >= 1);
	check(count("scan d/e/f/z") >= 1);
	clear();
	run("echo x >tree/d/e/f/later");
	settle();
	check(count("event d/e/f/later") == 2);
	clear();
	run("mkdir -p in/sub && echo x >in/1 && echo x >in/sub/2 && mv in tree/in");
	settle();
	check_int(count("scan in/1"), 1);
	check_int(count("scan in/sub/2"), 1);
	check_int(told.n, 2);
	end_watch();
}

int
main(void)
{
	top = mkdtemp(in_memory);
	if (!top)
		top = mkdtemp(on_disk);
	if (!top || chdir(top) < 0 || mkdir("tree", 0755) < 0) {
		perror("a directory for the test");
		return 1;
	}
	snprintf(root, sizeof root, "%s/tree", top);
	first_scan();
	files();
	new_directories();
	if (chdir("/") == 0)
		run("rm -rf '%s'", top);
	free(told.line);
	return test_end();
}
