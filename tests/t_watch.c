#include <errno.h>
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>
#include "test.h"

/* What the machine would have to be short of, and what would have to happen between two system calls, the tests bring about here. */
static struct {
	int no_inotify, no_memory, no_types, bad_readdir;
	int few, watches;                        /* few: only so many watches are to be had */
	const char *at;                          /* when the watch of the directory of that name is placed: */
	void (*before)(void), (*after)(void);
	ino_t mounted;                           /* a directory that looks like the root of another file system, one of the network */
	size_t bytes;                            /* of memory in use */
} faked;

static int
test_add_watch(int fd, const char *path, uint32_t mask)
{
	int hit = faked.at && !strcmp(strrchr(path, '/') + 1, faked.at), wd;

	if (faked.few && faked.watches-- <= 0) {
		errno = ENOSPC;
		return -1;
	}
	if (hit && faked.before)
		faked.before();
	wd = inotify_add_watch(fd, path, mask);
	if (hit && faked.after)
		faked.after();
	return wd;
}

static int
test_init(int flags)
{
	errno = EMFILE;
	return faked.no_inotify ? -1 : inotify_init1(flags);
}

static struct dirent *
test_readdir(DIR *dir)
{
	struct dirent *d = readdir(dir);

	if (d && faked.no_types)
		d->d_type = DT_UNKNOWN;
	if (!faked.bad_readdir)
		return d;
	errno = EIO;
	return NULL;
}

static int
test_fstat(int fd, struct stat *st)
{
	int rc = fstat(fd, st);

	if (rc == 0 && st->st_ino == faked.mounted)
		st->st_dev++;
	return rc;
}

static int
test_fstatfs(int fd, struct statfs *s)
{
	int rc = fstatfs(fd, s);
	struct stat st;

	if (rc == 0 && fstat(fd, &st) == 0 && st.st_ino == faked.mounted)
		s->f_type = 0x65735546;
	return rc;
}

static void *
test_calloc(size_t n, size_t size)
{
	size_t *p = faked.no_memory ? NULL : calloc(1, 16 + n * size);

	if (!p)
		return NULL;
	*p = n * size + 16;   /* what is its own, and the allocator's */
	faked.bytes += *p;
	return p + 16 / sizeof *p;
}

static void *
test_malloc(size_t size)
{
	return test_calloc(1, size);
}

static void
test_free(void *memory)
{
	size_t *p = memory;

	if (!p)
		return;
	p -= 16 / sizeof *p;
	faked.bytes -= *p;
	free(p);
}

#define inotify_add_watch test_add_watch
#define inotify_init1 test_init
#define readdir test_readdir
#define fstat test_fstat
#define fstatfs test_fstatfs
#define malloc test_malloc
#define calloc test_calloc
#define free test_free
#include "../lib/watch_tree.c"
#include "../lib/watch_fs.c"
#include "../lib/watch_scan.c"
#include "../lib/watch_root.c"
#include "../lib/watch.c"
#undef inotify_add_watch
#undef inotify_init1
#undef readdir
#undef fstat
#undef fstatfs
#undef malloc
#undef calloc
#undef free

/* In memory where that can be: thousands of directories are made. */
static char in_memory[] = "/dev/shm/r2-watch.XXXXXX", on_disk[] = "/tmp/r2-watch.XXXXXX";
static const char *top;      /* the tests stand in it; "tree" is watched */
static char root[64];
static int64_t now;          /* passes when a test says so */
static struct watch *watch;

/* What was told, in its order: "scan REL", "event REL", "gone REL", "gone REL/", both with " moved", "note TEXT". */
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

/* Which line is exactly that, from 1; 0: none. */
static size_t
place_of(const char *line)
{
	size_t i = 0;

	while (i < told.n && strcmp(told.line[i], line) != 0)
		i++;
	return i < told.n ? i + 1 : 0;
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
on_gone(void *arg, const char *rel, enum watch_gone how)
{
	static const char *const ends[] = {"", "/", " moved", "/ moved"};

	(void)arg;
	tell("gone ", rel, ends[how]);
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

	o.root = o.root ? o.root : root;
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
	check_int(faked.bytes, 0);
	memset(&faked, 0, sizeof faked);
	run("cd '%s' && chmod -R u+rwx . && rm -rf ./* && mkdir tree", top);
}

/* Nothing is left of what inotify would have said, as if it had been silent. */
static void
silence(void)
{
	char buf[4096];

	while (read(watch_fd(watch), buf, sizeof buf) > 0) {
	}
}

/* Said by the kernel, as far as the watch can see. */
static void
pretend(int wd, uint32_t mask)
{
	struct inotify_event ev = {.wd = wd, .mask = mask};

	event(watch, &ev);
}

static void
later(int64_t ms)
{
	now += ms;
	settle();
}

static void
make(const char *path)
{
	int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0644);

	if (fd < 0 || close(fd) < 0)
		perror(path);
}

/* make() for count names in a directory: 0, 1, … */
static void
make_many(const char *dir, int n)
{
	char path[128];

	for (int i = 0; i < n; i++) {
		snprintf(path, sizeof path, "%s/%d", dir, i);
		make(path);
	}
}

/* How many of the names 0 … n - 1 (below dir, "" or with its slash) were told, seen by an event or by a scan. */
static int
count_many(const char *dir, int n)
{
	char *seen = calloc((size_t)n, 1), *end;
	const char *rel;
	int k = 0;

	for (size_t i = 0; seen && i < told.n; i++) {
		rel = strchr(told.line[i], ' ') + 1;
		if (strncmp(rel, dir, strlen(dir)) != 0 || told.line[i][0] == 'n' || told.line[i][0] == 'g')
			continue;
		long number = strtol(rel + strlen(dir), &end, 10);

		if (!*end && number < n && !seen[number]++)
			k++;
	}
	free(seen);
	return k;
}

/* Each file is told once by the first scan, watches stand, and nothing wakes the caller before the next rescan. */
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
	check_int(state().scans, 1);
	check_int(state().dirs, 3);
	check_int(state().polled, 0);
	check_int(watch_wake_ms(watch), now + 300000);
	clear();
	make("tree/a/b/h");
	check(readable());
	settle();
	check_int(told.n, count("event a/b/h"));
	later(300000);
	check_int(count("scan f"), 1);
	check_int(count("scan a/b/h"), 1);
	check_int(state().scans, 2);
	clear();
	watch_rescan(watch);
	check_int(watch_wake_ms(watch), 0);
	check_int(state().scanning, 1);
	settle();
	check_int(count("scan f"), 1);
	end_watch();
	open_as((struct watch_options){.rescan_ms = -1});
	settle();
	check_int(watch_wake_ms(watch), -1);
	end_watch();
}

/* A file that comes, is linked, gets its name, its permissions; what is no file. */
static void
files(void)
{
	int fd;

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
	check_int(told.n, 3);
	clear();
	run("rm tree/f && mv tree/g tree/i && chmod 600 tree/i");
	settle();
	check_int(count("gone f"), 1);
	check_int(count("gone g moved"), 1);
	check_int(count("event i"), 2);
	check_int(told.n, 4);
	clear();
	later(300000);
	check_int(count("scan h"), 1);
	check_int(count("scan i"), 1);
	check_int(told.n, 2);
	fd = open("tree/open", O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	unlink("tree/open");
	settle();
	check(write(fd, "x", 1) == 1);
	close(fd);
	check(!readable());
	end_watch();
}

static void
new_directories(void)
{
	begin_watch();
	run("mkdir -p tree/d/e/f && echo x >tree/d/x && echo x >tree/d/e/y && echo x >tree/d/e/f/z");
	settle();
	check_int(count("scan d/x"), 1);
	check_int(count("scan d/e/y"), 1);
	check_int(count("scan d/e/f/z"), 1);
	check_int(told.n, 3);
	check_int(state().dirs, 4);
	clear();
	run("echo x >tree/d/e/f/later");
	settle();
	check_int(count("event d/e/f/later"), 2);
	clear();
	run("mkdir -p in/sub && echo x >in/1 && echo x >in/sub/2 && mv in tree/in");
	settle();
	check_int(count("scan in/1"), 1);
	check_int(count("scan in/sub/2"), 1);
	check_int(told.n, 2);
	make("tree/in/sub/3");
	settle();
	check_int(count("event in/sub/3"), 2);
	end_watch();
}

static void
come_before(void)
{
	make("tree/d/before");
	mkdir("tree/d/sub", 0755);
	make("tree/d/sub/before");
	faked.before = NULL;
}

static void
come_after(void)
{
	make("tree/d/after");
	mkdir("tree/d/late", 0755);
	make("tree/d/late/after");
	faked.after = NULL;
}

/* Between the event that tells of a directory, its watch, and its scan. */
static void
new_directory_races(void)
{
	begin_watch();
	faked.at = "d";
	faked.before = come_before;
	faked.after = come_after;
	mkdir("tree/d", 0755);
	settle();
	check_int(count("scan d/before"), 1);
	check_int(count("scan d/sub/before"), 1);
	check(count("scan d/after") == 1);
	check(count("scan d/late/after") >= 1);
	make("tree/d/sub/x");
	settle();
	check_int(count("event d/sub/x"), 2);
	end_watch();
}

/* 300 new nested directories with two files each, from another process. */
static void
fast_writer(void)
{
	char path[64];
	int status = 0, missing = 0;
	pid_t writer;

	begin_watch();
	writer = fork();
	if (writer == 0) {
		for (int i = 0; i < 300; i++) {
			snprintf(path, sizeof path, "tree/%d/sub", i);
			path[strlen(path) - 4] = '\0';
			mkdir(path, 0755);
			path[strlen(path)] = '/';
			mkdir(path, 0755);
			make_many(path, 2);
		}
		_exit(0);
	}
	while (waitpid(writer, &status, WNOHANG) == 0)
		settle();
	settle();
	for (int i = 0; i < 300; i++) {
		snprintf(path, sizeof path, "%d/sub/", i);
		missing += 2 - count_many(path, 2);
	}
	check_int(missing, 0);
	check_int(state().dirs, 601);
	end_watch();
}

/* What was moved away is told by its new name or not at all. */
static void
moved_directories(void)
{
	run("mkdir -p tree/d/sub tree/old/sub && echo x >tree/d/f");
	begin_watch();
	run("mv tree/d tree/e && echo x >tree/e/sub/x");
	settle();
	check_int(count("gone d/ moved"), 1);
	check_int(count("scan e/f"), 1);
	check_int(count("scan e/sub/x"), 1);
	clear();
	run("echo x >tree/e/sub/y");
	settle();
	check_int(told.n, count("event e/sub/y"));
	clear();
	run("mv tree/old . && echo x >old/x && echo x >old/sub/y");
	settle();
	check_int(count("gone old/ moved"), 1);
	check_int(told.n, 1);
	check_int(state().dirs, 3);
	make("old/z");
	make("old/sub/z");
	check(!readable());
	end_watch();
}

/* musl 1.2.3 has no renameat2. */
static void
exchange(const char *a, const char *b)
{
	check_int(syscall(SYS_renameat2, AT_FDCWD, a, AT_FDCWD, b, 2 /* RENAME_EXCHANGE */), 0);
}

/* Gone and there again before anybody looks; one kind in place of the other; two names exchanged. */
static void
replaced(void)
{
	run("mkdir -p tree/d/sub tree/x tree/y && echo x >tree/d/f && echo x >tree/f && echo x >tree/x/in-x && echo x >tree/y/in-y");
	begin_watch();
	run("rm -r tree/d && mkdir -p tree/d/sub && echo x >tree/d/sub/g && rm tree/f && mkdir tree/f && echo x >tree/f/h");
	settle();
	check(count("scan d/sub/g") >= 1);
	check(count("scan f/h") >= 1);
	clear();
	make("tree/d/sub/i");
	settle();
	check_int(count("event d/sub/i"), 2);
	clear();
	run("rm -r tree/f && echo x >tree/f");
	settle();
	check_int(count("gone f/"), 1);
	check_int(strcmp(told.line[told.n - 1], "event f"), 0);
	clear();
	exchange("tree/x", "tree/y");
	settle();
	check(count("scan x/in-y") >= 1);
	check(count("scan y/in-x") >= 1);
	make("tree/x/1");
	make("tree/y/2");
	settle();
	check_int(count("event x/1"), 2);
	check_int(count("event y/2"), 2);
	clear();
	exchange("tree/f", "tree/x");
	settle();
	check(count("scan f/in-y") >= 1);
	check_int(strcmp(told.line[told.n - 1], "scan f/1") && strcmp(told.line[told.n - 1], "scan f/in-y"), 0);
	check(count("event x") >= 1);
	check_int(state().dirs, 5);
	end_watch();
}

static int
queue_max(void)
{
	FILE *f = fopen("/proc/sys/fs/inotify/max_queued_events", "r");
	int n = 16384;

	if (!f || fscanf(f, "%d", &n) != 1)
		perror("max_queued_events");
	if (f)
		fclose(f);
	return n;
}

/* The kernel's queue overflows: everything is told, new directories are found, those that were exchanged too. */
static void
overflow(void)
{
	int n = queue_max() / 2 + 1000;

	run("mkdir -p tree/a/was-a tree/b/was-b tree/gone");
	begin_watch();
	make_many("tree", n);
	run("mv tree/a tree/c && mv tree/b tree/a && mv tree/c tree/b && mkdir tree/new && echo x >tree/new/f && rmdir tree/gone");
	settle();
	later(1000);
	check_int(state().overflows, 1);
	check_int(count_many("", n), n);
	check_int(count("scan new/f"), 1);
	check_int(count("gone gone/"), 1);
	clear();
	make("tree/a/was-b/1");
	make("tree/b/was-a/2");
	make("tree/new/3");
	settle();
	check_int(count("event a/was-b/1"), 2);
	check_int(count("event b/was-a/2"), 2);
	check_int(count("event new/3"), 2);
	check_int(told.n, 6);
	check_int(state().dirs, 6);
	end_watch();
}

/* Overflows that go on must not make it scan without end. */
static void
overflows_are_limited(void)
{
	int64_t wait = 0, before;

	begin_watch();
	for (int i = 0; i < 8; i++) {
		pretend(-1, IN_Q_OVERFLOW);
		check_int(state().scanning, 1);
		before = now;
		now = watch_wake_ms(watch) > now ? watch_wake_ms(watch) : now;
		check(now - before >= wait && now - before <= 32000);
		wait = now - before;
		settle();
		check_int(state().scans, i + 2);
		check_int(state().scanning, 0);
	}
	check_int(wait, 32000);
	later(100000);
	pretend(-1, IN_Q_OVERFLOW);
	check(watch_wake_ms(watch) <= now);
	settle();
	pretend(-1, IN_Q_OVERFLOW);
	check_int(watch_wake_ms(watch), now + 1000);
	end_watch();
}

/* A watch that the kernel has removed is placed again where that path is. */
static void
watch_removed(void)
{
	struct node *d;

	run("mkdir -p tree/d/e");
	begin_watch();
	d = watch_child(watch, watch->root, "d");
	check_int(inotify_rm_watch(watch_fd(watch), d->wd), 0);
	make("tree/d/f");
	settle();
	check_int(count("scan d/f"), 1);
	make("tree/d/g");
	settle();
	check_int(count("event d/g"), 2);
	check_int(inotify_rm_watch(watch_fd(watch), d->wd), 0);
	run("rmdir tree/d/e && mv tree/d d");
	settle();
	check_int(state().dirs, 1);
	check_int(begins("note"), 0);
	end_watch();
}

/* What inotify did not say (a file system mounted over a directory, a file written from elsewhere) the rescan finds. */
static void
silent_changes(void)
{
	run("mkdir -p tree/d/sub tree/e other/sub other/more tree/file tree/link tree/unlink far && echo x >other/sub/f && echo x >far/i && "
	    "rmdir tree/unlink && ln -s ../far tree/unlink");
	begin_watch();
	run("mv tree/d old && mv other tree/d && rmdir tree/e tree/file tree/link && echo x >tree/file && rm tree/unlink && mkdir tree/unlink && "
	    "echo x >tree/unlink/j && ln -s ../far tree/link");
	silence();
	later(299999);
	check_int(told.n, 0);
	later(1);
	check_int(count("scan d/sub/f"), 1);
	check_int(count("gone e/"), 1);
	check(count("scan link/i") >= 1);
	check(count("scan unlink/j") >= 1);
	check_int(count("gone file/"), 1);
	check(place_of("gone file/") < place_of("scan file"));
	clear();
	run("echo x >old/no && echo x >old/sub/no && echo x >tree/d/more/g && echo x >tree/d/sub/h");
	settle();
	check_int(count("event d/more/g"), 2);
	check_int(count("event d/sub/h"), 2);
	check_int(told.n, 4);
	end_watch();
}

/* Too few watches: the sysctl is named once, the rest is scanned every few seconds, and watched as soon as that can be. */
static void
watch_limit(void)
{
	run("mkdir -p tree/a/b/c tree/d/e/f tree/g/h/i");
	faked.few = 1;
	faked.watches = 5;
	open_as((struct watch_options){.poll = 0});
	settle();
	check_int(begins("note"), 1);
	check(told.n == 1 && strstr(told.line[0], "fs.inotify.max_user_watches"));
	check_int(state().dirs, 10);
	check_int(state().polled, 7);
	check_int(watch_wake_ms(watch), now + 5000);
	run("for d in a/b/c d/e/f g/h/i; do mkdir tree/$d/new; echo x >tree/$d/x; echo x >tree/$d/new/y; done");
	settle();
	clear();
	later(5000);
	check_int(begins("scan a/b/c/") + begins("scan d/e/f/") + begins("scan g/h/i/"), 6);
	check_int(told.n, 6);
	run("rm -r tree/a/b/c tree/d/e/f tree/g/h/i");
	later(5000);
	check(count("gone a/b/c/") && count("gone d/e/f/") && count("gone g/h/i/"));
	check_int(state().dirs, 7);
	faked.few = 0;
	later(5000);
	check_int(state().polled, 0);
	check(watch_wake_ms(watch) > now + 5000);
	clear();
	make("tree/d/e/2");
	settle();
	check_int(count("event d/e/2"), 2);
	end_watch();
}

static void
no_inotify(void)
{
	faked.no_inotify = 1;
	run("mkdir tree/d");
	open_as((struct watch_options){.poll = 0});
	settle();
	check_int(watch_fd(watch), -1);
	check_int(told.n, 1);
	check(strstr(told.line[0], "fs.inotify.max_user_instances") != NULL);
	check_int(state().polled, 2);
	clear();
	make("tree/d/f");
	later(5000);
	check_int(count("scan d/f"), 1);
	later(300000);
	check_int(begins("note"), 0);
	faked.no_inotify = 0;
	later(300000);
	check(watch_fd(watch) >= 0);
	check_int(state().polled, 0);
	end_watch();
}

/* --poll: no descriptor; every rescan_ms, but at most a fifth of the time. */
static void
polling(void)
{
	run("mkdir -p tree/d/e && ln -s .. tree/d/e/up && ln -s ../e tree/d/again");
	make_many("tree/d", 5000);
	open_as((struct watch_options){.poll = 1, .rescan_ms = 2000});
	settle();
	check_int(watch_fd(watch), -1);
	check_int(begins("note"), 0);
	check_int(count_many("d/", 5000), 5000);
	check_int(told.n, 5000);
	check_int(watch_wake_ms(watch), now + 2000);
	check_int(state().dirs, 3);
	clear();
	make("tree/d/e/new");
	later(1999);
	check_int(told.n, 0);
	later(1);
	check_int(count("scan d/e/new"), 1);
	now += 2000;
	for (int i = 0; i < 3; i++, now += 1000)
		watch_step(watch, now);
	settle();
	check_int(watch_wake_ms(watch), now + 12000);
	clear();
	run("rm -r tree/d");
	later(12000);
	check_int(count("gone d/"), 1);
	check_int(told.n, 1);
	end_watch();
}

/* A part on the network: it is watched, for what this machine writes, and scanned, for what others do. */
static void
network(void)
{
	struct stat st;

	run("mkdir -p tree/local tree/net/sub tree/net/other");
	check_int(stat("tree/net", &st), 0);
	faked.mounted = st.st_ino;
	begin_watch();
	check_int(state().polled, 1);
	check_int(watch_wake_ms(watch), now + 5000);
	make("tree/net/f");
	settle();
	check_int(count("event net/f"), 2);
	make("tree/net/g");
	make("tree/local/h");
	silence();
	later(5000);
	check_int(count("scan net/g"), 1);
	check_int(count("scan local/h"), 0);
	end_watch();
	check_int(stat("tree", &st), 0);
	faked.mounted = st.st_ino;
	begin_watch();
	check_int(state().polled, 1);
	mkdir("tree/d", 0755);
	settle();
	make("tree/f");
	silence();
	later(5000);
	check_int(count("scan f"), 1);
	end_watch();
}

static int
notes_with(const char *text)
{
	int k = 0;

	for (size_t i = 0; i < told.n; i++)
		k += !strncmp(told.line[i], "note ", 5) && strstr(told.line[i], text);
	return k;
}

/* The root is not there yet, goes with something open in it, comes back, is moved away, is another, has no parent. */
static void
root_comes_and_goes(void)
{
	int fd;

	run("rm -r tree");
	open_as((struct watch_options){.poll = 0});
	settle();
	check_int(notes_with("/tree: No such file or directory: waiting for it"), 1);
	check_int(state().root_there + state().scanned + state().scanning, 0);
	check_int(watch_wake_ms(watch), now + 1000);
	later(1000);
	check_int(told.n, 1);
	run("mkdir tree tree/d && echo x >tree/d/f");
	later(1000);
	check_int(notes_with("is back"), 1);
	check_int(count("scan d/f"), 1);
	check_int(state().root_there + state().scanned, 2);
	fd = open("tree", O_RDONLY | O_CLOEXEC);
	clear();
	run("rm -r tree");
	settle();
	close(fd);
	check_int(begins("note"), 1);
	check_int(notes_with("waiting for it"), 1);
	check_int(state().root_there + (int)state().dirs + (int)state().polled, 0);
	clear();
	run("mkdir tree && echo x >tree/g");   /* the directory it lies in tells */
	settle();
	check_int(count("scan g"), 1);
	clear();
	run("mv tree away && echo x >away/no");
	settle();
	check_int(begins("note"), 1);
	check_int(begins("gone"), 0);
	run("mv away tree");
	settle();
	check_int(count("scan no"), 1);
	clear();
	run("mkdir other && echo x >other/h && mv tree away && mv other tree");
	settle();
	check_int(notes_with("another directory"), 1);
	check_int(count("gone / moved"), 1);
	check_int(count("scan h"), 1);
	clear();
	run("rm -r tree && echo x >tree");
	settle();
	check_int(notes_with("Not a directory"), 1);
	check_int(told.n, 2);   /* h is gone, too */
	end_watch();
}

/* Its name lies in another directory than itself: that directory tells that it is gone, with something open in it. */
static void
root_elsewhere(void)
{
	static const char *const names[] = {"link", "tree/.", "tree/d/.."};
	char name[128];
	int fd;

	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		run("mkdir -p tree/d && ln -sfn tree link");
		snprintf(name, sizeof name, "%s/%s", top, names[i]);
		open_as((struct watch_options){.root = name});
		settle();
		fd = open("tree", O_RDONLY | O_CLOEXEC);
		clear();
		run("rm -r tree");
		settle();
		close(fd);
		check_int(notes_with("waiting for it"), 1);
		run("mkdir -p tree/d && echo x >tree/f");
		later(1000);
		check_int(count("scan f"), 1);
		clear();
		/* One beside it is none of its business. */
		run("mkdir aside && rmdir aside");
		settle();
		check_int((int)told.n + state().scanning, 0);
		end_watch();
	}
}

static void
root_without_parent(void)
{
	char deep[128];

	snprintf(deep, sizeof deep, "%s/tree/up/root/", top);
	open_as((struct watch_options){.root = deep});
	settle();
	check_int(begins("note"), 1);
	run("mkdir -p tree/up/root && echo x >tree/up/root/f");
	later(1000);
	check_int(count("scan f"), 1);
	clear();
	run("mv tree/up tree/down");
	settle();
	check_int(told.n, 0);
	later(300000);
	check_int(begins("note"), 1);
	run("mkdir -p tree/up/root && echo x >tree/up/root/g");
	later(1000);
	check_int(count("scan g"), 1);
	/* Who asks for a scan, as at the end, does not miss what has come back since the last look. */
	run("rm -r tree/up");
	settle();
	run("mkdir -p tree/up/root && echo x >tree/up/root/h");
	watch_rescan(watch);
	check_int(state().scanning, 1);
	settle();
	check_int(count("scan h"), 1);
	run("rm -r tree/up");
	settle();
	watch_rescan(watch);
	settle();
	check_int(state().root_there + state().scanning, 0);
	end_watch();
}

/* Unmounted: what lies there is watched, and every second it is looked whether the other is back. */
static void
root_unmounted(void)
{
	run("mkdir below && echo x >tree/on && mkdir tree/above && echo x >below/under");
	begin_watch();
	run("mv tree mounted && mv below tree");
	silence();
	pretend(watch->root->wd, IN_UNMOUNT);
	pretend(watch->root->wd, IN_IGNORED);
	settle();
	check_int(notes_with("was unmounted"), 1);
	check_int(count("scan under"), 1);
	check_int(watch_wake_ms(watch), now + 1000);
	later(1000);
	check_int(begins("note"), 1);
	run("mv tree below && mv mounted tree");
	silence();
	clear();
	later(1000);
	check_int(notes_with("is back"), 1);
	check_int(count("scan on"), 1);
	check_int(begins("gone"), 0);
	check(watch_wake_ms(watch) > now + 1000);
	end_watch();
}

/* As somebody who must not read everything. */
static void
settle_as_nobody(void)
{
	if (getuid() == 0)
		check_int(seteuid(65534), 0);
	settle();
	if (getuid() == 0)
		check_int(seteuid(0), 0);
}

static void
unreadable(void)
{
	run("mkdir -p tree/no/sub tree/list tree/yes && echo x >tree/yes/f && echo x >tree/list/g && echo x >tree/no/sub/h && "
	    "chmod 000 tree/no && chmod 744 tree/list && if [ \"$(id -u)\" != 0 ]; then chmod 600 tree/list; fi");
	open_as((struct watch_options){.poll = 0});
	settle_as_nobody();
	check_int(count("scan yes/f"), 1);
	check_int(notes_with("/tree/no: cannot be read: Permission denied"), 1);
	check_int(notes_with("/tree/list/g: cannot be looked at: Permission denied"), 1);
	check_int(told.n, 3);
	check_int(state().polled, 0);
	check_int(watch_wake_ms(watch), now + 300000);
	now += 300000;
	settle_as_nobody();
	check_int(begins("note"), 2);
	clear();
	run("chmod 755 tree/no tree/list");
	settle_as_nobody();
	check_int(count("scan no/sub/h"), 1);
	check_int(count("scan list/g"), 1);
	check_int(begins("note"), 0);
	run("chmod 000 tree/no");
	now += 300000;
	settle_as_nobody();
	check_int(begins("note"), 1);
	end_watch();
}

static void
vanish(void)
{
	run("mv tree/d d");
	faked.before = NULL;
}

static void
vanish_watched(void)
{
	run("mv tree/d d");
	faked.after = NULL;
}

/* A directory that goes between its event and its watch, or between its watch and its scan, is nobody's fault. */
static void
vanishing(void)
{
	begin_watch();
	faked.at = "d";
	faked.before = vanish;
	mkdir("tree/d", 0755);
	settle();
	faked.after = vanish_watched;
	run("rmdir d && mkdir tree/d");
	settle();
	check_int(begins("note"), 0);
	check_int(state().dirs, 1);
	make("d/f");
	check(!readable());
	end_watch();
}

static void
links(void)
{
	run("mkdir -p tree/d out/sub && echo x >tree/d/f && echo x >out/sub/g && ln -s ../.. tree/d/up && ln -s . tree/self && ln -s d tree/again && "
	    "ln -s loop tree/loop && ln -s ../out tree/out && ln -s ../out tree/twice && ln -s no tree/none");
	open_as((struct watch_options){.poll = 0});
	settle();
	/* up leads to what lies around the tree: its other half is found there, too. */
	check_int(count("scan d/f"), 1);
	check_int(begins("scan out/sub/g") + begins("scan twice/sub/g") + begins("scan d/up/out/sub/g"), 1);
	check_int(told.n, 2);
	check_int(state().dirs, 5);
	end_watch();

	run("mkdir -p out/sub tree/.hidden");
	begin_watch();
	run("ln -s ../out tree/l && echo x >out/sub/f");
	settle();
	check_int(count("scan l/sub/f"), 1);
	make("out/sub/g");
	settle();
	check_int(count("event l/sub/g"), 2);
	clear();
	run("mkdir new && echo x >new/h && ln -sfn ../new tree/l");
	settle();
	check_int(count("scan l/h"), 1);
	check_int(state().dirs, 2);
	make("out/sub/i");
	check(!readable());
	clear();
	run("mv new away && echo x >away/no");
	settle();
	check_int(count("gone l/"), 1);
	check_int(told.n, 1);
	run("mv away new");
	later(300000);
	check_int(count("scan l/no"), 1);
	clear();
	run("rm tree/l");
	settle();
	check_int(count("gone l/"), 1);
	check_int(state().dirs, 1);
	clear();
	run("ln -s .hidden tree/shown && echo x >tree/.hidden/f");
	settle();
	check_int(told.n, begins("scan shown/f") + begins("event shown/f"));
	end_watch();
}

/* A directory found through a link first is told by its real name as soon as it has one. */
static void
real_before_alias(void)
{
	run("mkdir out && echo x >out/f && ln -s out mid && ln -s ../mid tree/a");
	begin_watch();
	run("mv out tree/real && ln -sfn tree/real mid");
	settle();
	check_int(count("scan real/f"), 1);
	clear();
	make("tree/real/g");
	settle();
	check_int(count("event real/g"), 2);
	check_int(told.n, 2);
	check_int(state().dirs, 2);
	end_watch();
}

static void
no_d_type(void)
{
	run("mkdir -p tree/d/e out && echo x >tree/d/e/f && mkfifo tree/p && echo x >out/g && ln -s ../out tree/l");
	faked.no_types = 1;
	open_as((struct watch_options){.poll = 0});
	settle();
	check_int(count("scan d/e/f"), 1);
	check_int(count("scan l/g"), 1);
	check_int(told.n, 2);
	end_watch();
}

/* A piece of work is bounded, and events are told between two pieces. */
static void
pieces(void)
{
	int steps = 0;

	make_many("tree", 10000);
	run("mkdir tree/d");
	open_as((struct watch_options){.poll = 0});
	for (size_t before = 0; !state().scanned && steps < 1000; before = told.n, steps++) {
		watch_step(watch, now);
		check(told.n - before <= 1000 + (steps == 4) * 2);
		if (steps == 3)
			make("tree/x");
		if (steps == 4)
			check_int(count("event x"), 2);
	}
	check(steps >= 10 && steps < 20);
	check_int(count_many("", 10000), 10000);
	end_watch();
}

/* 2,000 levels, with two descriptors to spare. */
static void
deep_tree(void)
{
	struct rlimit few, all;
	int fd, levels = 0;

	check_int(chdir("tree"), 0);
	while (levels < 2000 && mkdir("d", 0755) == 0 && chdir("d") == 0)
		levels++;
	check_int(levels, 2000);
	make("f");
	check_int(chdir(top), 0);
	getrlimit(RLIMIT_NOFILE, &all);
	fd = dup(0);
	few = (struct rlimit){(rlim_t)fd + 2, all.rlim_max};
	close(fd);
	setrlimit(RLIMIT_NOFILE, &few);
	open_as((struct watch_options){.poll = 0});
	settle();
	setrlimit(RLIMIT_NOFILE, &all);
	check_int(state().dirs, 2001);
	check_int(told.n, 1);
	check(strlen(told.line[0]) == strlen("scan ") + 2 * 2000 + 1);
	clear();
	run("mv tree/d/d . && rm -r d");
	settle();
	check_int(count("gone d/d/ moved"), 1);
	check_int(state().dirs, 2);
	end_watch();
}

/* Names of 255 bytes; what no path can name is passed over with a note, once. */
static void
long_names(void)
{
	char name[256], other[256];
	int levels = 0;

	memset(name, 'd', 255);
	memset(other, 'n', 255);
	name[255] = other[255] = '\0';
	check_int(chdir("tree"), 0);
	make("a\nb\t\xff");
	while (levels < 20 && mkdir(name, 0755) == 0 && chdir(name) == 0)
		make(other), levels++;
	check_int(levels, 20);
	check_int(chdir(top), 0);
	open_as((struct watch_options){.poll = 0});
	settle();
	check_int(count("scan a\nb\t\xff"), 1);
	check_int(begins("scan ddd") + begins("scan nnn"), 14);
	check_int(notes_with("…: some of it is left out: "), 1);
	later(300000);
	check_int(begins("note"), 1);
	check_int(begins("scan ddd") + begins("scan nnn"), 28);
	check_int(state().dirs, 16);
	end_watch();
}

/* No descriptor to be had: it waits, tells events meanwhile, and goes on. */
static void
no_descriptors(void)
{
	struct rlimit none, all;
	int fd;

	run("mkdir -p tree/d && echo x >tree/d/f");
	begin_watch();
	getrlimit(RLIMIT_NOFILE, &all);
	fd = dup(0);
	none = (struct rlimit){(rlim_t)fd, all.rlim_max};
	close(fd);
	make("tree/d/silent");
	silence();
	watch_rescan(watch);
	check_int(rename("tree/d/f", "tree/g"), 0);
	setrlimit(RLIMIT_NOFILE, &none);
	settle();
	check_int(watch_wake_ms(watch), now + 1000);
	check_int(state().scanning, 1);
	check_int(count("event g"), 1);
	later(1000);
	check_int(begins("note"), 1);
	check_int(watch_wake_ms(watch), now + 1000);
	setrlimit(RLIMIT_NOFILE, &all);
	check_int(count("scan g"), 0);
	later(1000);
	check_int(count("scan g"), 1);
	check_int(count("scan d/silent"), 1);
	check_int(state().dirs, 2);
	check_int(begins("note"), 1);
	check_int(state().scanning, 0);
	end_watch();
}

/* A disk that fails in the middle of a directory does not make it forget what is there. */
static void
read_error(void)
{
	run("mkdir -p tree/d/e && echo x >tree/d/e/f");
	begin_watch();
	faked.bad_readdir = 1;
	later(300000);
	check_int(notes_with("/tree: the rest of it cannot be read"), 1);
	check_int(told.n, 1);
	check_int(state().dirs, 3);
	faked.bad_readdir = 0;
	later(300000);
	check_int(count("scan d/e/f"), 1);
	end_watch();
}

static void
no_memory(void)
{
	struct err e;

	begin_watch();
	run("mkdir -p tree/d && echo x >tree/d/f");
	faked.no_memory = 1;
	settle();
	check_int(notes_with("/tree/d: left out until the next rescan"), 1);
	check(watch_open(&(struct watch_options){.root = root}, &e) == NULL && e.kind == ERR_LOCAL);
	faked.no_memory = 0;
	later(300000);
	check_int(count("scan d/f"), 1);
	end_watch();
}

/* A hundred thousand directories in 32 MB: 335 bytes each. */
static void
memory(void)
{
	char path[64];

	open_as((struct watch_options){.poll = 1});
	settle();
	for (int i = 0; i < 20000; i++) {
		if (i % 100 == 0) {
			snprintf(path, sizeof path, "tree/%012d", i / 100);
			check_int(mkdir(path, 0755), 0);
		}
		snprintf(path, sizeof path, "tree/%012d/directory-%010d", i / 100, i % 100);
		check_int(mkdir(path, 0755), 0);
	}
	later(300000);
	check_int(state().dirs, 20201);
	check(faked.bytes < 20200 * 335);
	if (getenv("T_WATCH_BYTES"))
		fprintf(stderr, "%zu bytes a directory\n", faked.bytes / 20200);
	end_watch();
}

static void
busy(void)
{
	int reader, writer;

	signal(SIGIO, SIG_IGN);
	make("tree/f");
	writer = open("tree/f", O_WRONLY | O_CLOEXEC);
	reader = open("tree/f", O_RDONLY | O_CLOEXEC);
	check_int(watch_busy(reader), 1);
	close(writer);
	check_int(watch_busy(reader), 0);
	check_int(fcntl(reader, F_GETLEASE), F_UNLCK);
	writer = open("tree/f", O_WRONLY | O_NONBLOCK | O_CLOEXEC);   /* would fail while a lease is held */
	check(writer >= 0);
	close(writer);
	close(reader);
	reader = open("/dev/null", O_RDONLY | O_CLOEXEC);
	check_int(watch_busy(reader), -1);
	close(reader);
	end_watch();
}

static void
all_tests(void)
{
	static void (*const test[])(void) = {
		first_scan, files, new_directories, new_directory_races, fast_writer, moved_directories, replaced, overflow, overflows_are_limited,
		watch_removed, silent_changes, watch_limit, no_inotify, polling, network, root_comes_and_goes, root_elsewhere, root_without_parent,
		root_unmounted,
		unreadable, vanishing, links, real_before_alias, no_d_type, pieces, deep_tree, long_names, no_descriptors, read_error, no_memory,
		memory, busy,
	};
	for (size_t i = 0; i < sizeof test / sizeof *test; i++)
		test[i]();
}

int
main(void)
{
	top = mkdtemp(in_memory);
	if (!top)
		top = mkdtemp(on_disk);
	if (!top || chdir(top) < 0 || chmod(top, 0755) < 0 || mkdir("tree", 0755) < 0) {
		perror("a directory for the test");
		return 1;
	}
	snprintf(root, sizeof root, "%s/tree", top);
	all_tests();
	if (chdir("/") == 0)
		run("rm -rf '%s'", top);
	free(told.line);
	return test_end();
}
