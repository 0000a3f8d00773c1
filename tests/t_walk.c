#include <errno.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include "test.h"
#include "walk.h"

/* In memory where that can be: thousands of directories are made. */
static char in_memory[] = "/dev/shm/r2-walk.XXXXXX", on_disk[] = "/tmp/r2-walk.XXXXXX";
static const char *top;

/* Everything below is built relative to top, where the test stands. */
static void
make_dir(const char *path)
{
	if (mkdir(path, 0755) < 0)
		perror(path);
}

static void
make_file(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");

	if (!f || fputs(text, f) < 0 || fclose(f) != 0)
		perror(path);
}

static void
remove_tree(const char *path)
{
	char command[256];

	snprintf(command, sizeof command, "rm -rf '%s'", path);
	check_int(system(command), 0);
}

/* What a walk told: each file as "rel\n", each complaint as "! message\n", sorted. */
struct told {
	char *lines[20000];
	int n, files, complaints;
};
static struct told told;

static void
tell(const char *before, const char *text)
{
	size_t n = strlen(before) + strlen(text) + 1;

	if (told.n == 20000)
		abort();
	told.lines[told.n] = malloc(n);
	snprintf(told.lines[told.n++], n, "%s%s", before, text);
}

static int
compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void
forget(void)
{
	while (told.n)
		free(told.lines[--told.n]);
	told = (struct told){.n = 0};
}

/* One step; what every file must fulfil. */
static int
step(struct walk *w)
{
	struct walk_entry x;
	struct err e = {0};
	struct stat st;
	int rc = walk_next(w, &x, &e);

	if (rc < 0) {
		check_int(e.kind, strstr(e.msg, ": a ") || strstr(e.msg, ": neither") ? ERR_NONE : ERR_LOCAL);
		tell("! ", e.msg);
		told.complaints++;
	} else if (rc > 0) {
		check(stat(x.path, &st) == 0 && S_ISREG(st.st_mode) && st.st_ino == x.st.st_ino && st.st_size == x.st.st_size);
		check(strlen(x.path) > strlen(x.rel) && !strcmp(x.path + strlen(x.path) - strlen(x.rel), x.rel));
		tell("", x.rel);
		told.files++;
	}
	return rc;
}

static void
walk_all(const char *root, const struct walk_options *o)
{
	struct err e = {0};
	struct walk *w = walk_open(root, o, &e);

	forget();
	check(w != NULL);
	if (!w)
		return;
	while (step(w))
		;
	check_int(step(w), 0);   /* the end stays the end */
	walk_close(w);
	qsort(told.lines, (size_t)told.n, sizeof *told.lines, compare);
}

static void
check_told(const char *want)
{
	static char text[65536];

	*text = '\0';
	for (int i = 0; i < told.n; i++) {
		strcat(text, told.lines[i]);
		strcat(text, "|");
	}
	check_str(text, want);
}

static int
count_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	int n = 0;

	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

static void
test_plain(void)
{
	make_dir("plain");
	walk_all("plain", NULL);
	check_told("");
	make_file("plain/a", "12345");
	make_file("plain/.hidden", "");
	make_file("plain/...", "");
	make_dir("plain/sub");
	make_dir("plain/sub/empty");
	make_dir("plain/sub/deep");
	make_file("plain/sub/deep/b", "");
	make_file("plain/sub/z", "");
	walk_all("plain", NULL);
	check_told("...|.hidden|a|sub/deep/b|sub/z|");
	walk_all("plain///", NULL);
	check_told("...|.hidden|a|sub/deep/b|sub/z|");
	walk_all("plain/sub/./deep/..", NULL);
	check_told("deep/b|z|");
	check_int(chdir("plain/sub"), 0);
	walk_all(".", NULL);
	check_told("deep/b|z|");
	check_int(chdir("../.."), 0);
}

/* "/" and "//" have a slash already. In a tree of its own, where that can be made. */
static void
test_slash(void)
{
	pid_t child = fork();
	int status;

	if (child == 0) {
		struct err e;
		struct walk_entry x;
		struct walk *w;

		if (chroot("plain/sub/deep") < 0 || chdir("/") < 0)
			_exit(0);
		w = walk_open("//", NULL, &e);
		_exit(!w || walk_next(w, &x, &e) != 1 || strcmp(x.rel, "b") != 0 || strcmp(x.path, "/b") != 0);
	}
	check(waitpid(child, &status, 0) == child && status == 0);
}

static void
test_odd_names(void)
{
	char name[NAME_MAX + 1], path[NAME_MAX + 8];

	memset(name, 'n', NAME_MAX);
	name[NAME_MAX] = '\0';
	snprintf(path, sizeof path, "odd/%s", name);
	make_dir("odd");
	make_file("odd/new\nline", "");
	make_file("odd/\xff\xfe", "");
	make_file("odd/ ", "");
	make_file("odd/-rf", "");
	make_file("odd/%s%n", "");
	make_dir("odd/\x1b[31m");
	make_file("odd/\x1b[31m/x", "");
	make_file(path, "");
	walk_all("odd", NULL);
	check_int(told.n, 7);
	check_str(told.lines[0], "\x1b[31m/x");
	check_str(told.lines[1], " ");
	check_str(told.lines[2], "%s%n");
	check_str(told.lines[3], "-rf");
	check_str(told.lines[4], "new\nline");
	check_str(told.lines[5], name);
	check_str(told.lines[6], "\xff\xfe");
}

static void
test_links(void)
{
	make_dir("links");
	make_dir("links/real");
	make_file("links/real/f", "content");
	make_dir("away");
	make_file("away/g", "");
	check_int(symlink("real/f", "links/file"), 0);
	check_int(symlink("../away", "links/dir"), 0);
	check_int(symlink("nowhere", "links/broken"), 0);
	check_int(symlink("self", "links/self"), 0);
	check_int(symlink("..", "links/real/up"), 0);
	check_int(symlink(".", "links/real/here"), 0);
	check_int(symlink("real/f/x", "links/through-file"), 0);
	walk_all("links", NULL);
	check_told("! links/broken: a symbolic link to nothing|"
		"! links/real/here: a loop, it leads back to a directory that it lies in|"
		"! links/real/up: a loop, it leads back to a directory that it lies in|"
		"! links/self: a symbolic link that leads to itself, or too many in a row|"
		"! links/through-file: cannot be looked at: Not a directory|"
		"dir/g|file|real/f|");
	/* A link as root; two directories that lead into each other end too. */
	check_int(symlink("away", "root-link"), 0);
	walk_all("root-link", NULL);
	check_told("g|");
	make_dir("ping");
	make_dir("pong");
	check_int(symlink("../pong", "ping/to"), 0);
	check_int(symlink("../ping", "pong/to"), 0);
	walk_all("ping", NULL);
	check_told("! ping/to/to: a loop, it leads back to a directory that it lies in|");
}

static void
test_special(void)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX, .sun_path = "special/socket"};
	int s = socket(AF_UNIX, SOCK_STREAM, 0);

	make_dir("special");
	check_int(mkfifo("special/fi\nfo", 0600), 0);
	check_int(bind(s, (struct sockaddr *)&a, sizeof a), 0);
	close(s);
	check_int(symlink("/dev/null", "special/null"), 0);
	make_file("special/x", "");
	walk_all("special", NULL);
	check_told("! special/fi\\nfo: a FIFO|! special/null: a device|! special/socket: a socket|x|");
}

static void
bad_root(const char *root, const char *want)
{
	struct err e = {0};

	check(!walk_open(root, NULL, &e));
	check_int(e.kind, ERR_LOCAL);
	check_str(e.msg, want);
}

static void
test_bad_root(void)
{
	static char endless[3 * PATH_MAX];
	struct err e = {0};

	bad_root("nowhere", "nowhere: cannot be read as a directory: No such file or directory");
	bad_root("plain/a", "plain/a: cannot be read as a directory: Not a directory");
	bad_root("", ": cannot be read as a directory: No such file or directory");
	bad_root("links/broken", "links/broken: cannot be read as a directory: No such file or directory");
	memset(endless, 'x', sizeof endless - 1);
	check(!walk_open(endless, NULL, &e));
	check(strstr(e.msg, "xx\u2026: cannot be read as a directory: ") != NULL);
	walk_close(NULL);
}

/* As somebody who may not, when the test runs as root. */
static void
test_no_permission(void)
{
	make_dir("shut");
	make_dir("shut/inner");
	make_file("shut/x", "");
	make_file("shut/inner/y", "");
	check_int(chmod("shut/inner", 0), 0);
	check_int(chmod(top, 0755), 0);
	if (geteuid() == 0 && seteuid(65534) < 0)
		return;
	walk_all("shut", NULL);
	check_told("! shut/inner: cannot be read: Permission denied|x|");
	bad_root("shut/inner", "shut/inner: cannot be read as a directory: Permission denied");
	if (getuid() == 0)
		check_int(seteuid(0), 0);
	chmod("shut/inner", 0755);
}

struct filter {
	char seen[256];
};

static int
not_deep(void *arg, const char *rel)
{
	struct filter *f = arg;

	strcat(f->seen, rel);
	strcat(f->seen, "|");
	return strcmp(rel, "sub/deep") != 0;
}

static void
test_filter(void)
{
	struct filter f = {""};
	const struct walk_options o = {not_deep, &f};

	check_int(rmdir("plain/sub/empty"), 0);
	walk_all("plain", &o);
	check_told("...|.hidden|a|sub/z|");
	check_str(f.seen, "sub|sub/deep|");
}

/* levels directories called d, one in the other, below path; in each of them the files of names. */
static void
make_chain(const char *path, int levels, const char *names)
{
	int fd, next;

	make_dir(path);
	fd = open(path, O_RDONLY | O_DIRECTORY);
	for (int i = 0; i < levels; i++) {
		for (const char *n = names; *n; n++)
			linkat(AT_FDCWD, "plain/a", fd, (char[]){*n, '\0'}, 0);   /* quicker than a new file */
		mkdirat(fd, "d", 0755);
		next = openat(fd, "d", O_RDONLY | O_DIRECTORY);
		close(fd);
		fd = next;
	}
	linkat(AT_FDCWD, "plain/a", fd, "bottom", 0);
	close(fd);
}

/* Directories whose descriptors had been closed are read on where they were: each file once. */
static void
test_reopened(void)
{
	int most = 0, fds = count_fds(), twice = 0;
	struct err e;
	struct walk *w;

	make_chain("chain", 150, "abcfghijkxyzw");
	make_chain("chain/e", 150, "");   /* down again, after having come up */
	w = walk_open("chain", NULL, &e);
	forget();
	while (step(w) > 0)
		most = count_fds() > most ? count_fds() : most;
	walk_close(w);
	qsort(told.lines, (size_t)told.n, sizeof *told.lines, compare);
	for (int i = 1; i < told.n; i++)
		twice += !strcmp(told.lines[i - 1], told.lines[i]);
	check_int(told.files, 150 * 13 + 2);
	check_int(twice, 0);
	check_int(told.complaints, 0);
	check(most > fds + WALK_OPEN_MAX / 2 && most <= fds + WALK_OPEN_MAX);
	check_int(count_fds(), fds);
}

/* The same when each file is removed as soon as it is told, as --move does. */
static void
test_removed_on_the_way(void)
{
	struct walk_entry x;
	struct err e;
	struct walk *w = walk_open("chain", NULL, &e);
	int n = 0;

	for (; walk_next(w, &x, &e) == 1; n++)
		check_int(unlink(x.path), 0);
	walk_close(w);
	check_int(n, 150 * 13 + 2);
	walk_all("chain", NULL);
	check_told("");
}

/* A walk that is told of its deepest file. */
static struct walk *
walk_to_bottom(const char *root)
{
	struct err e;
	struct walk *w = walk_open(root, NULL, &e);

	forget();
	while (step(w) > 0 && strstr(told.lines[told.n - 1], "bottom") == NULL)
		;
	return w;
}

/* While the walk is deep down, a directory that it has closed is exchanged, or loses the entry to go on behind. */
static void
test_replaced(void)
{
	struct walk *w;

	make_chain("swap", 80, "");
	w = walk_to_bottom("swap");
	check_int(rename("swap/d/d", "elsewhere"), 0);
	make_chain("swap/d/d", 1, "f");
	forget();
	while (step(w))
		;
	walk_close(w);
	check_int(told.files, 0);
	check_int(told.complaints, 80 + 1 - WALK_OPEN_MAX - 2);   /* closed were swap, which did not change, swap/d and so on */
	check_str(told.n ? told.lines[told.n - 1] : NULL, "! swap/d/d/: the rest of it is left out: the directory was replaced meanwhile");
	check(strstr(told.lines[0], ": the rest of it cannot be read: No such file or directory") != NULL);

	make_chain("lost", 80, "");
	w = walk_to_bottom("lost");
	check_int(rename("lost/d/d/d", "lost/other"), 0);
	check_int(symlink("../../other", "lost/d/d/new"), 0);
	forget();
	while (step(w))
		;
	walk_close(w);
	check_str(told.n > 1 ? told.lines[told.n - 1] : NULL,
		"! lost/d/d/: the rest of it is left out: the directory changed meanwhile");
}

/* What is gone when its turn comes was never there. */
static void
test_gone(void)
{
	struct walk_entry x;
	struct err e;
	struct walk *w;

	make_dir("gone");
	make_file("gone/a", "");
	make_file("gone/b", "");
	w = walk_open("gone", NULL, &e);
	check_int(walk_next(w, &x, &e), 1);
	unlink("gone/a");
	unlink("gone/b");
	check_int(walk_next(w, &x, &e), 0);
	walk_close(w);
}

static void
test_deep(void)
{
	int fds = count_fds();
	size_t n;

	/* Deeper than a path can be long: said once for each entry, all else told, the longest path that can be too. */
	make_chain("depth", 2100, "ab");
	walk_all("depth", NULL);
	n = (PATH_MAX - 1 - strlen("depth")) / 2;   /* "/d" so often, but "/a" and "/b" in the last place */
	check_int(told.files, 2 * n);
	check_int(told.complaints, 3);   /* a, b and d of the level below */
	for (int i = 0; i < told.complaints; i++)
		check(strstr(told.lines[i], "\u2026: the path is too long") != NULL);
	check_int(count_fds(), fds);
}

static long
peak_kb(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return u.ru_maxrss;
}

/* Walks many files in a process of its own: 0 when the memory stayed what it was after the first hundred. */
static int
walk_many(void)
{
	struct err e;
	struct walk_entry x;
	struct walk *w = walk_open("many", NULL, &e);
	long before = 0;
	int n = 0;

	for (; walk_next(w, &x, &e) == 1; n++)
		if (n == 100)
			before = peak_kb();
	walk_close(w);
	return n == 20000 && peak_kb() - before < 512 ? 0 : 1;
}

static void
test_many(void)
{
	char name[300];
	pid_t child;
	int status, fd;

	make_dir("many");
	fd = open("many", O_RDONLY | O_DIRECTORY);
	for (int i = 0; i < 20000; i++) {
		/* Long names: held in memory they would be seen. */
		snprintf(name, sizeof name, "%0200d", i);
		linkat(AT_FDCWD, "plain/a", fd, name, 0);
	}
	close(fd);
	child = fork();
	if (child == 0)
		_exit(walk_many());
	check(waitpid(child, &status, 0) == child && status == 0);
}

/* Closed in the middle: nothing stays open. */
static void
test_closed_early(void)
{
	int fds = count_fds();
	struct walk *w;

	w = walk_to_bottom("swap");
	check(count_fds() > fds);
	walk_close(w);
	check_int(count_fds(), fds);
}

int
main(void)
{
	char home[PATH_MAX];
	int fds = count_fds();

	top = mkdtemp(in_memory);
	if (!top)
		top = mkdtemp(on_disk);
	if (!top || !getcwd(home, sizeof home) || chdir(top) < 0) {
		perror("a directory for the test");
		return 1;
	}
	test_plain();
	test_many();   /* early: no freed memory that could hide what the walk keeps */
	test_slash();
	test_odd_names();
	test_links();
	test_special();
	test_bad_root();
	test_no_permission();
	test_filter();
	test_reopened();
	test_removed_on_the_way();
	test_replaced();
	test_gone();
	test_deep();
	test_closed_early();
	forget();
	check_int(count_fds(), fds);
	check_int(chdir(home), 0);
	remove_tree(top);
	return test_end();
}
