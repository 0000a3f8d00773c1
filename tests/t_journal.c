#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char system_dir[PATH_MAX];     /* in place of /var/lib */
static int steals;                    /* so many times the file is replaced just before it is locked */
static char target[PATH_MAX];

static int
stolen_flock(int fd, int how)
{
	if (steals > 0) {
		steals--;
		unlink(target);
	}
	return flock(fd, how);
}

#define JOURNAL_SYSTEM_DIR system_dir
#define flock stolen_flock
#include "../lib/private.c"
#undef flock
#include "../lib/journal.c"
#include "test.h"

enum { PARTS = 400, FILE_CAP = 65536 };

static char dir[] = "/tmp/t_journal.XXXXXX";

/* What a load reported. */
struct seen {
	int n;
	unsigned number[PARTS];
	char note[PARTS][16];
};

static void
see(void *arg, unsigned number, const char *note)
{
	struct seen *s = arg;

	if (s->n < PARTS) {
		s->number[s->n] = number;
		snprintf(s->note[s->n], sizeof s->note[0], "%.15s", note);
	}
	s->n++;
}

static struct journal_text text;
static struct seen seen;
static struct err e;

static void
put_file(const void *data, size_t n)
{
	int fd = open(target, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	check(fd >= 0 && write(fd, data, n) == (ssize_t)n);
	close(fd);
}

static size_t
get_file(char *data, size_t cap)
{
	int fd = open(target, O_RDONLY);
	ssize_t n = fd < 0 ? -1 : read(fd, data, cap);

	if (fd >= 0)
		close(fd);
	return n < 0 ? 0 : (size_t)n;
}

/* Open and load: the number of parts, -1 when either failed. */
static int
load(struct journal *j)
{
	seen.n = 0;
	if (journal_open(j, target, &e) != 0 || journal_load(j, &text, see, &seen, &e) < 0)
		return -1;
	return seen.n;
}

static int
load_only(void)
{
	struct journal j;
	int n = load(&j);

	journal_close(&j);
	return n;
}

/* A journal of n parts in target, its bytes in data. */
static size_t
make(char *data, int n)
{
	struct journal j;
	char note[16];

	unlink(target);
	check_int(load(&j), 0);
	check_int(journal_begin(&j, "up load", "id", &e), 0);
	for (int i = 1; i <= n; i++) {
		snprintf(note, sizeof note, "etag%d", i);
		check_int(journal_part(&j, (unsigned)i, note, &e), 0);
	}
	journal_close(&j);
	return get_file(data, FILE_CAP);
}

static void
test_round(void)
{
	static char data[FILE_CAP];
	struct journal j;
	struct stat st;

	unlink(target);
	check_int(load(&j), 0);
	check_str(text.identity, "");
	check_str(text.token, "");
	check(stat(target, &st) == 0 && (st.st_mode & 07777) == 0600);
	check_int(journal_begin(&j, "a b\n%\xff", "", &e), 0);
	check_int(journal_part(&j, 7, "\"e\" 7\n", &e), 0);
	check_int(journal_part(&j, UINT_MAX, "", &e), 0);
	journal_close(&j);
	check_int(j.fd, -1);
	check_int(load(&j), 2);
	check_str(text.identity, "a b\n%\xff");
	check_str(text.token, "");
	check_int(seen.number[0], 7);
	check_str(seen.note[0], "\"e\" 7\n");
	check(seen.number[1] == UINT_MAX);
	check_str(seen.note[1], "");

	/* A new beginning: what was before it does not count. */
	check_int(journal_begin(&j, "other", "token", &e), 0);
	check_int(journal_part(&j, 3, "c", &e), 0);
	journal_close(&j);
	check_int(load_only(), 1);
	check_str(text.identity, "other");
	check_str(text.token, "token");
	check_int(seen.number[0], 3);

	/* Without a look at what is there, the file begins anew. */
	check_int(journal_open(&j, target, &e), 0);
	check_int(journal_begin(&j, "third", "t", &e), 0);
	journal_close(&j);
	check_int(get_file(data, FILE_CAP), 23);
	check_int(load_only(), 0);
	check_str(text.identity, "third");

	check_int(load(&j), 0);
	journal_remove(&j);
	check_int(j.fd, -1);
	check(access(target, F_OK) < 0 && errno == ENOENT);
}

static void
test_format(void)
{
	static char data[FILE_CAP];
	char want[64];
	size_t n = make(data, 1);

	snprintf(want, sizeof want, "%08x begin up%%20load id\n%08x part 1 etag1\n",
		(unsigned)hash_crc32c(0, "begin up%20load id", 18), (unsigned)hash_crc32c(0, "part 1 etag1", 12));
	data[n] = '\0';
	check_str(data, want);
}

static void
test_none(void)
{
	struct journal j = {.fd = -1};

	text.identity[0] = text.token[0] = 'x';
	seen.n = 0;
	check_int(journal_load(&j, &text, see, &seen, &e), 0);
	check_str(text.identity, "");
	check_str(text.token, "");
	check_int(journal_begin(&j, "i", "t", &e), 0);
	check_int(journal_part(&j, 1, "n", &e), 0);
	journal_close(&j);
	journal_remove(&j);
	check_int(seen.n, 0);

	/* One that was never begun leaves no file behind. */
	unlink(target);
	check_int(load_only(), 0);
	check(access(target, F_OK) < 0);
	put_file("garbage", 7);
	check_int(load_only(), 0);
	check(access(target, F_OK) < 0);
}

/* Whole lines in the first n bytes. */
static int
lines(const char *data, size_t n)
{
	int count = 0;

	for (size_t i = 0; i < n; i++)
		count += data[i] == '\n';
	return count;
}

/* The file holds `whole` good lines and then something else: they are what is read, and what is appended is read too. */
static void
check_mended(int whole)
{
	struct journal j;
	int parts = whole > 0 ? whole - 1 : 0;

	check_int(load(&j), parts);
	check_str(text.token, whole ? "id" : "");
	if (!whole)
		check_int(journal_begin(&j, "up load", "id", &e), 0);
	check_int(journal_part(&j, 99, "new", &e), 0);
	journal_close(&j);
	check_int(load_only(), parts + 1);
	check_str(text.identity, "up load");
	for (int i = 0; i < parts; i++)
		check_int(seen.number[i], i + 1);
	check_int(seen.number[parts], 99);
	check_str(seen.note[parts], "new");
}

static void
test_torn_anywhere(void)
{
	static char data[FILE_CAP];
	size_t n = make(data, 4);

	check(n > 100);
	for (size_t cut = 0; cut <= n; cut++) {
		put_file(data, cut);
		check_mended(lines(data, cut));
	}
}

static void
test_noise_anywhere(void)
{
	static const char noise[] = {'\n', ' ', '\0', '%', '0', '\xff'};
	static char data[FILE_CAP];
	size_t n = make(data, 4);

	for (size_t at = 0; at < n; at++) {
		for (size_t k = 0; k < sizeof noise + 1; k++) {
			char was = data[at];

			data[at] = k < sizeof noise ? noise[k] : (char)(was ^ 1);
			if (data[at] != was) {
				put_file(data, n);
				/* Of what follows nothing comes back, even when the new line is just as long as the damaged one. */
				check_mended(lines(data, at));
			}
			data[at] = was;
		}
	}
}

/* A line of n bytes with the right sum. */
static void
put_bytes(const char *body, size_t n)
{
	char line[256];
	struct buf b = BUF(line);

	buf_fmt(&b, "%08x ", (unsigned)hash_crc32c(0, body, n));
	buf_put(&b, body, n);
	buf_char(&b, '\n');
	put_file(b.p, b.len);
}

static void
put_line(const char *body)
{
	put_bytes(body, strlen(body));
}

static void
test_garbage(void)
{
	static const char *const bodies[] = {"", "begin", "begin a", "begin a b c", "begin a b ", " begin a b", "Begin a b",
		"begin %00 b", "begin a%2 b", "begin a %zz", "part 1 x", "beginning a b"};
	static const char *const parts[] = {"part", "part 1", "part 1 x y", "part  x", "part -1 x", "part +1 x", "part 1a x",
		"part 4294967296 x", "part 99999999999 x", "part 1 %00", "part 1 x ", "parts 1 x"};
	static char data[FILE_CAP];

	for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
		put_line(bodies[i]);
		check_int(load_only(), 0);
		check_str(text.identity, "");
		check_str(text.token, "");
	}
	put_line("begin a b");
	check_int(load_only(), 0);
	check_str(text.token, "b");
	for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
		char whole[256];
		size_t n;

		put_line("begin a b");
		n = get_file(whole, sizeof whole);
		put_line(parts[i]);
		n += get_file(whole + n, sizeof whole - n);
		put_file(whole, n);
		check_int(load_only(), 0);
		check_str(text.token, "b");
	}

	put_bytes("begin a b\0c", 11);
	check_int(load_only(), 0);
	check_str(text.token, "");

	/* Longer than any line, without and with an end; only ends; only zeros. */
	memset(data, 'x', sizeof data);
	put_file(data, sizeof data);
	check_mended(0);
	data[LINE_MAX_BYTES] = '\n';
	put_file(data, sizeof data);
	check_mended(0);
	memset(data, '\n', sizeof data);
	put_file(data, sizeof data);
	check_mended(0);
	memset(data, 0, sizeof data);
	put_file(data, sizeof data);
	check_mended(0);
	for (unsigned i = 0, x = 1; i < sizeof data; i++, x = x * 1103515245 + 12345)
		data[i] = (char)(x >> 16);
	put_file(data, sizeof data);
	check_mended(0);
}

static void
test_limits(void)
{
	static char big[JOURNAL_TEXT_MAX + 1], big2[JOURNAL_TEXT_MAX + 1], note[JOURNAL_NOTE_MAX + 1];
	struct journal j;

	unlink(target);
	memset(big, '%', JOURNAL_TEXT_MAX - 1);
	memset(big2, ' ', JOURNAL_TEXT_MAX - 1);
	memset(note, '\n', JOURNAL_NOTE_MAX - 1);
	check_int(load(&j), 0);
	check_int(journal_begin(&j, big, big2, &e), 0);
	check_int(journal_part(&j, UINT_MAX, note, &e), 0);
	check_int(journal_part(&j, 2, "x", &e), 0);
	note[JOURNAL_NOTE_MAX - 1] = '\n';
	check_int(journal_part(&j, 3, note, &e), -1);
	journal_close(&j);
	check_int(load(&j), 2);
	check(!strcmp(text.identity, big));
	check(!strcmp(text.token, big2));
	check_int(seen.number[1], 2);
	big[JOURNAL_TEXT_MAX - 1] = '%';
	check_int(journal_begin(&j, big, "t", &e), -1);
	check_int(e.kind, ERR_LOCAL);
	check_int(journal_begin(&j, "i", big, &e), -1);
	check(strstr(e.msg, "too long") != NULL);
	journal_close(&j);
	check_int(load_only(), 2);

	/* Many records: more than one reading's worth. */
	check_int(load(&j), 2);
	for (int i = 0; i < 2; i++)
		check_int(journal_begin(&j, big2, big2, &e), 0);
	check_int(journal_begin(&j, "last", "t", &e), 0);
	for (unsigned i = 0; i < 20; i++)
		check_int(journal_part(&j, i, "n", &e), 0);
	journal_close(&j);
	check_int(load_only(), 20);
	check_str(text.identity, "last");
}

static void
test_disk_full(void)
{
	static char data[FILE_CAP];
	struct rlimit old, small;
	struct journal j;
	size_t n = make(data, 3);

	/* Every length that a record of 22 bytes can be cut to. */
	signal(SIGXFSZ, SIG_IGN);
	getrlimit(RLIMIT_FSIZE, &old);
	for (size_t room = 0; room < 22; room++) {
		put_file(data, n);
		check_int(load(&j), 3);
		small = (struct rlimit){n + room, old.rlim_max};
		setrlimit(RLIMIT_FSIZE, &small);
		check_int(journal_part(&j, 4, "etag4", &e), -1);
		check_int(e.kind, ERR_LOCAL);
		check(strstr(e.msg, target) != NULL);
		setrlimit(RLIMIT_FSIZE, &old);
		check_int(journal_part(&j, 5, "e", &e), 0);
		journal_close(&j);
		check_int(load_only(), 4);
		check_int(seen.number[3], 5);
	}
	signal(SIGXFSZ, SIG_DFL);
}

static void
check_refused(const char *why)
{
	struct journal j;

	e.msg[0] = '\0';
	check_int(journal_open(&j, target, &e), -1);
	check_int(j.fd, -1);
	check_int(e.kind, ERR_LOCAL);
	check(strstr(e.msg, why) != NULL);
	check(strstr(e.msg, target) != NULL);
	unlink(target);
}

static void
test_refused_files(void)
{
	static char data[FILE_CAP];
	char other[PATH_MAX], longer[PATH_MAX + 10];
	struct journal j;

	make(data, 1);
	snprintf(other, sizeof other, "%.4000s/other", dir);
	rename(target, other);
	check_int(symlink(other, target), 0);
	check_refused("symbolic link");
	check_int(symlink("/nowhere/at/all", target), 0);
	check_refused("symbolic link");
	check_int(link(other, target), 0);
	check_refused("hard link");
	rename(other, target);
	check_int(chmod(target, 0644), 0);
	check_int(load_only(), 1);
	if (geteuid() == 0) {
		check_int(chown(target, 12345, (gid_t)-1), 0);
		check_refused("another user");
	}
	unlink(target);
	check_int(mkfifo(target, 0600), 0);
	check_refused("no regular file");
	check_int(mkdir(target, 0700), 0);
	check_refused("directory");
	rmdir(target);
	memset(longer, 'a', sizeof longer);
	longer[sizeof longer - 1] = '\0';
	check_int(journal_open(&j, longer, &e), -1);
	check_int(j.fd, -1);
	check_int(journal_open(&j, "/dev/null/x", &e), -1);
	check_int(j.fd, -1);
}

static void
test_in_use(void)
{
	static char data[FILE_CAP];
	struct journal j, k;
	int ready[2], status;
	char c;
	pid_t child;

	make(data, 2);
	check_int(load(&j), 2);
	check_int(journal_open(&k, target, &e), 1);
	check_int(k.fd, -1);
	journal_close(&j);

	check_int(pipe(ready), 0);
	child = fork();
	if (child == 0) {
		if (journal_open(&j, target, &e) != 0 || write(ready[1], "x", 1) != 1)
			_exit(1);
		pause();
		_exit(0);
	}
	check_int(read(ready[0], &c, 1), 1);
	check_int(journal_open(&k, target, &e), 1);
	kill(child, SIGKILL);
	check_int(waitpid(child, &status, 0), child);
	check_int(load(&k), 2);
	/* No program that is started meanwhile holds the lock on. */
	check(fcntl(k.fd, F_GETFD) & FD_CLOEXEC);
	journal_close(&k);
	close(ready[0]);
	close(ready[1]);
}

static void
test_removed_meanwhile(void)
{
	static char data[FILE_CAP];
	struct journal j;
	struct stat a, b;

	/* The holder removes the file between our open and our lock: what we lock has to be the file of that name. */
	make(data, 2);
	steals = 1;
	check_int(load(&j), 0);
	check_int(steals, 0);
	check(fstat(j.fd, &a) == 0 && stat(target, &b) == 0 && a.st_ino == b.st_ino);
	journal_close(&j);
	/* For ever: as good as in use, and it ends. */
	steals = 1000;
	check_int(journal_open(&j, target, &e), 1);
	check_int(j.fd, -1);
	check(steals > 900);
	steals = 0;
}

static struct journal shared;

static void *
note_parts(void *arg)
{
	unsigned first = *(unsigned *)arg, bad = 0;
	char note[16];

	for (unsigned i = first; i < first + 25; i++) {
		struct err why;

		snprintf(note, sizeof note, "n%u", i);
		bad += journal_part(&shared, i, note, &why) != 0;
	}
	*(unsigned *)arg = bad;
	return NULL;
}

static void
test_threads(void)
{
	pthread_t t[8];
	unsigned arg[8], bad = 0, times[200] = {0};
	char want[16];

	unlink(target);
	check_int(load(&shared), 0);
	check_int(journal_begin(&shared, "i", "t", &e), 0);
	for (unsigned i = 0; i < 8; i++) {
		arg[i] = i * 25;
		check_int(pthread_create(&t[i], NULL, note_parts, &arg[i]), 0);
	}
	for (int i = 0; i < 8; i++) {
		pthread_join(t[i], NULL);
		bad += arg[i];
	}
	check_int(bad, 0);
	journal_close(&shared);
	check_int(load_only(), 200);
	for (int i = 0; i < 200; i++) {
		check(seen.number[i] < 200 && times[seen.number[i]]++ == 0);
		snprintf(want, sizeof want, "n%u", seen.number[i]);
		check_str(seen.note[i], want);
	}
}

/* A path below dir, in one of a few buffers. */
static const char *
below(const char *rest)
{
	static char names[4][PATH_MAX];
	static int turn;
	char *name = names[turn++ % 4];

	snprintf(name, PATH_MAX, "%s%s", dir, rest);
	return name;
}

static void
set_places(const char *xdg, const char *sys, const char *home)
{
	if (xdg)
		setenv("XDG_STATE_HOME", xdg, 1);
	else
		unsetenv("XDG_STATE_HOME");
	if (home)
		setenv("HOME", home, 1);
	else
		unsetenv("HOME");
	snprintf(system_dir, sizeof system_dir, "%s", sys);
}

static int
mode_of(const char *name)
{
	struct stat st;

	return lstat(name, &st) < 0 ? -1 : (int)(st.st_mode & 07777);
}

static void
test_dir_order(void)
{
	char out[PATH_MAX];

	mkdir(below("/sys"), 0755);
	mkdir(below("/home"), 0755);
	/* The first that can be made; its own parents too. */
	set_places(below("/x/state"), below("/sys"), below("/home"));
	e.kind = ERR_HTTP;
	check_int(journal_dir(out, &e), 0);
	check_int(e.kind, ERR_NONE);
	check_str(out, below("/x/state/r2"));
	check_int(mode_of(out), 0700);
	check_int(mode_of(below("/x/state")), 0700);
	check_int(mode_of(below("/sys/r2")), -1);
	check_int(journal_dir(out, &e), 0);
	check_str(out, below("/x/state/r2"));

	set_places(NULL, below("/sys"), below("/home"));
	check_int(journal_dir(out, &e), 0);
	check_int(e.kind, ERR_NONE);
	check_str(out, below("/sys/r2"));
	check_int(mode_of(out), 0700);
	set_places("", below("/sys"), below("/home"));
	check_int(journal_dir(out, &e), 0);
	check_str(out, below("/sys/r2"));

	/* /var/lib is not ours to make, nor is the home directory; what is in it is. */
	set_places(NULL, below("/nosys"), below("/home"));
	check_int(journal_dir(out, &e), 0);
	check_int(e.kind, ERR_NONE);
	check_str(out, below("/home/.local/state/r2"));
	check_int(mode_of(out), 0700);
	check_int(mode_of(below("/nosys")), -1);
	set_places(NULL, below("/nosys"), below("/nohome"));
	check_int(journal_dir(out, &e), -1);
	check_int(e.kind, ERR_LOCAL);
	check(strstr(e.msg, below("/nosys/r2: No such file")) != NULL);
	check(strstr(e.msg, below("/nohome/.local/state/r2: No such file")) != NULL);
	check(strstr(e.msg, "XDG_STATE_HOME") != NULL);
	check_int(mode_of(below("/nohome")), -1);
	set_places(NULL, below("/nosys"), NULL);
	check_int(journal_dir(out, &e), -1);
}

static void
test_dir_faults(void)
{
	char out[PATH_MAX];
	static char longer[PATH_MAX + 10];

	/* A relative one is ignored, and said. */
	set_places("x/state", below("/sys"), NULL);
	check_int(journal_dir(out, &e), 0);
	check_str(out, below("/sys/r2"));
	check_int(e.kind, ERR_LOCAL);
	check(strstr(e.msg, "x/state/r2: not an absolute path") != NULL);

	set_places(below("/x/state"), below("/sys"), NULL);
	check_int(chmod(below("/x/state/r2"), 0770), 0);
	check_int(journal_dir(out, &e), 0);
	check_str(out, below("/sys/r2"));
	check_int(e.kind, ERR_LOCAL);
	check(strstr(e.msg, below("/x/state/r2: others may write")) != NULL);
	check_int(chmod(below("/sys/r2"), 01777), 0);
	check_int(journal_dir(out, &e), -1);
	check(strstr(e.msg, below("/sys/r2: others may write")) != NULL);
	check_int(chmod(below("/x/state/r2"), 0755), 0);
	check_int(journal_dir(out, &e), 0);
	check_str(out, below("/x/state/r2"));
	check_int(e.kind, ERR_NONE);
	check_int(chmod(below("/sys/r2"), 0700), 0);

	/* What merely cannot be is no warning: a file in its place, a name too long. */
	put_file("x", 1);
	set_places(target, below("/sys"), NULL);
	check_int(journal_dir(out, &e), 0);
	check_str(out, below("/sys/r2"));
	check_int(e.kind, ERR_NONE);
	memset(longer, 'a', sizeof longer - 1);
	longer[0] = '/';
	set_places(longer, below("/sys"), NULL);
	check_int(journal_dir(out, &e), 0);
	check_str(out, below("/sys/r2"));

	/* Our own symbolic link may lead elsewhere. */
	rmdir(below("/x/state/r2"));
	check_int(symlink(below("/sys"), below("/x/state/r2")), 0);
	set_places(below("/x/state"), below("/nosys"), NULL);
	check_int(journal_dir(out, &e), 0);
	check_str(out, below("/x/state/r2"));
	if (geteuid() != 0)
		return;
	check_int(lchown(below("/x/state/r2"), 12345, (gid_t)-1), 0);
	check_int(journal_dir(out, &e), -1);
	check(strstr(e.msg, "r2: it belongs to another user") != NULL);
	unlink(below("/x/state/r2"));
	check_int(mkdir(below("/x/state/r2"), 0700), 0);
	check_int(chown(below("/x/state/r2"), 12345, (gid_t)-1), 0);
	check_int(journal_dir(out, &e), -1);
	check(strstr(e.msg, "r2: it belongs to another user") != NULL);
}

/* Root writes everywhere: somebody else has to look. */
static void
test_dir_not_writable(void)
{
	pid_t child;
	int status;

	if (geteuid() != 0)
		return;
	chmod(dir, 0755);
	child = fork();
	if (child == 0) {
		char out[PATH_MAX];
		int before = failures;

		check_int(setresuid(12345, 12345, 12345), 0);
		set_places(NULL, below("/sys"), NULL);
		chmod(below("/sys/r2"), 0755);
		check_int(journal_dir(out, &e), -1);
		check(strstr(e.msg, "/sys/r2: Permission denied") != NULL);
		_exit(failures != before);
	}
	check_int(waitpid(child, &status, 0), child);
	check_int(status, 0);
}

int
main(void)
{
	if (!mkdtemp(dir))
		return 1;
	snprintf(target, sizeof target, "%s/j", dir);
	test_round();
	test_format();
	test_none();
	test_torn_anywhere();
	test_noise_anywhere();
	test_garbage();
	test_limits();
	test_disk_full();
	test_refused_files();
	test_in_use();
	test_removed_meanwhile();
	test_threads();
	test_dir_order();
	test_dir_faults();
	test_dir_not_writable();
	snprintf(target, sizeof target, "rm -rf %s", dir);
	return system(target) != 0 || test_end();
}
