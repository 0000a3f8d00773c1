#pragma once
/* For t_powercut.c: what a power cut can leave of a directory. The calls that change files are this program's own: they do what libc's do, and
   are recorded while power_record is set. Then power_cuts() goes through all moments, and, at each, through what the disk may have of what was
   not synced: nothing, all, all but one piece, only the last, a piece torn at a sector's end, sizes without data; names before or without data.
   The rules are POSIX's, so wider than any file system's: only fsync(2) of a file keeps its data, only fsync(2) of the directory its names. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
	POWER_OPS = 4000, POWER_FILES = 64, POWER_NAMES = 16, POWER_FILE_MAX = 1 << 20, POWER_SECTOR = 512,
};

enum power_kind { POWER_WRITE, POWER_SIZE, POWER_GROW, POWER_SYNC, POWER_FAILED_SYNC, POWER_SYNC_DIR, POWER_NAME, POWER_UNNAME, POWER_RENAME, POWER_MARK };

struct power_op {
	enum power_kind kind;
	int file;                 /* which inode, numbered from 0 as they came */
	uint64_t at, size;
	unsigned char *data;
	char name[256], to[256];
};

static struct power_op power_ops[POWER_OPS];
static int power_n, power_record, power_marks;
static int power_sync_fails;      /* so many of the next fdatasync and fsync of files */
static int power_killed;          /* the process is as good as dead: it changes nothing any more */
static char power_dir[] = "/dev/shm/t_powercut.XXXXXX", power_live[64], power_after[64];
static ino_t power_inodes[POWER_FILES];
static int power_files;
static struct stat power_live_st;

static struct power_op *
power_add(enum power_kind kind, int file)
{
	struct power_op *o = &power_ops[power_n++];

	if (power_n >= POWER_OPS) {
		fprintf(stderr, "powercut.h: too many operations\n");
		exit(1);
	}
	*o = (struct power_op){.kind = kind, .file = file};
	return o;
}

static int
power_file(ino_t inode)
{
	for (int i = power_files - 1; i >= 0; i--)
		if (power_inodes[i] == inode)
			return i;
	power_inodes[power_files++] = inode;
	return power_files - 1;
}

/* Of fd: which file, -1 when nobody records or it is none. */
static int
power_of(int fd)
{
	struct stat st;

	return power_record && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) ? power_file(st.st_ino) : -1;
}

/* The name below the live directory, or NULL. */
static const char *
power_name(int dir, const char *path)
{
	size_t n = strlen(power_live);
	struct stat st;

	if (!power_record)
		return NULL;
	if (!strncmp(path, power_live, n) && path[n] == '/')
		return path + n + 1;
	return *path != '/' && fstat(dir, &st) == 0 && st.st_ino == power_live_st.st_ino && st.st_dev == power_live_st.st_dev ? path : NULL;
}

static void
power_named(enum power_kind kind, int file, const char *name, const char *to)
{
	struct power_op *o = power_add(kind, file);

	snprintf(o->name, sizeof o->name, "%s", name);
	snprintf(o->to, sizeof o->to, "%s", to);
}

/* ---- the calls */

int
openat(int dir, const char *path, int flags, ...)
{
	const char *name = power_name(dir, path);
	struct stat st;
	va_list ap;
	int fd, new, mode = 0;

	va_start(ap, flags);
	if (flags & O_CREAT)
		mode = va_arg(ap, int);
	va_end(ap);
	new = name && flags & O_CREAT && fstatat(dir, path, &st, AT_SYMLINK_NOFOLLOW) < 0;
	fd = (int)syscall(SYS_openat, dir, path, flags, mode);
	if (fd >= 0 && new && fstat(fd, &st) == 0) {
		power_inodes[power_files++] = st.st_ino;   /* a number may have been another file's before */
		power_named(POWER_NAME, power_files - 1, name, "");
	}
	return fd;
}

int
open(const char *path, int flags, ...)
{
	va_list ap;
	int mode;

	va_start(ap, flags);
	mode = (flags & O_CREAT) ? va_arg(ap, int) : 0;
	va_end(ap);
	return openat(AT_FDCWD, path, flags, mode);
}

ssize_t
pwrite(int fd, const void *data, size_t n, off_t at)
{
	ssize_t put = power_killed ? -1 : syscall(SYS_pwrite64, fd, data, n, at);
	int file = put > 0 ? power_of(fd) : -1;

	if (file >= 0) {
		struct power_op *o = power_add(POWER_WRITE, file);

		o->at = (uint64_t)at;
		o->size = (uint64_t)put;
		o->data = malloc((size_t)put);
		memcpy(o->data, data, (size_t)put);
	}
	return put;
}

int
ftruncate(int fd, off_t size)
{
	int rc = power_killed ? -1 : (int)syscall(SYS_ftruncate, fd, size), file = rc == 0 ? power_of(fd) : -1;

	if (file >= 0)
		power_add(POWER_SIZE, file)->size = (uint64_t)size;
	return rc;
}

int
fallocate(int fd, int mode, off_t at, off_t n)
{
	int rc = power_killed ? -1 : (int)syscall(SYS_fallocate, fd, mode, at, n), file = rc == 0 && !mode ? power_of(fd) : -1;

	if (file >= 0)
		power_add(POWER_GROW, file)->size = (uint64_t)(at + n);
	return rc;
}

/* The machine that runs this loses no power. */
int
fdatasync(int fd)
{
	struct stat st;

	if (!power_record || fstat(fd, &st) < 0)
		return 0;
	if (power_killed)
		return -1;
	if (S_ISDIR(st.st_mode)) {
		power_add(POWER_SYNC_DIR, -1);
		return 0;
	}
	power_add(power_sync_fails > 0 ? POWER_FAILED_SYNC : POWER_SYNC, power_of(fd));
	if (power_sync_fails-- > 0) {
		errno = EIO;
		return -1;
	}
	power_sync_fails = 0;
	return 0;
}

int
fsync(int fd)
{
	return fdatasync(fd);
}

int
renameat(int from_dir, const char *from, int to_dir, const char *to)
{
	const char *a = power_name(from_dir, from), *b = power_name(to_dir, to);
	int rc = power_killed ? -1 : (int)syscall(SYS_renameat2, from_dir, from, to_dir, to, 0);

	if (rc == 0 && a && b)
		power_named(POWER_RENAME, -1, a, b);
	return rc;
}

int
rename(const char *from, const char *to)
{
	return renameat(AT_FDCWD, from, AT_FDCWD, to);
}

int
unlinkat(int dir, const char *path, int flags)
{
	const char *name = power_name(dir, path);
	int rc = power_killed ? -1 : (int)syscall(SYS_unlinkat, dir, path, flags);

	if (rc == 0 && name)
		power_named(POWER_UNNAME, -1, name, "");
	return rc;
}

int
unlink(const char *path)
{
	return unlinkat(AT_FDCWD, path, 0);
}

/* ---- what is recorded */

static void
power_empty(const char *name)
{
	DIR *dir = opendir(name);
	struct dirent *x;

	if (!dir)
		exit(1);
	while ((x = readdir(dir)))
		if (x->d_name[0] != '.' || x->d_name[2])
			unlinkat(dirfd(dir), x->d_name, 0);
	closedir(dir);
}

/* An empty directory, and from now on what befalls it. */
static void
power_begin(void)
{
	for (int i = 0; i < power_n; i++)
		free(power_ops[i].data);
	power_record = power_n = power_files = power_marks = power_sync_fails = 0;
	if (!*power_live) {
		/* In memory where that is to be had: ext4 goes to the disk whenever a file takes another one's name. */
		if (!mkdtemp(power_dir) && !mkdtemp(strcpy(power_dir, "/tmp/t_powercut.XXXXXX")))
			exit(1);
		snprintf(power_live, sizeof power_live, "%s/live", power_dir);
		snprintf(power_after, sizeof power_after, "%s/after", power_dir);
		mkdir(power_live, 0700);
		mkdir(power_after, 0700);
		if (stat(power_live, &power_live_st) < 0)
			exit(1);
	}
	power_empty(power_live);
	power_record = 1;
}

static void
power_end(void)
{
	power_record = 0;
	power_empty(power_live);
	power_empty(power_after);
	rmdir(power_live);
	rmdir(power_after);
	rmdir(power_dir);
}

/* Something was promised: its number, from 0. */
static inline int
power_mark(void)
{
	power_add(POWER_MARK, -1);
	return power_marks++;
}

/* ---- what may be left of it */

/* Which of n unsynced operations in a row the disk has, and how. */
struct power_choice {
	int first, end;           /* those from first to before end … */
	int missing;              /* … but for this one; -1: none */
	int torn;                 /* the last of them: 1: only its first sector, 2: all but its first, 0: whole */
	int sizes;                /* what it has not written has at least made the file longer */
};

struct power_state {
	unsigned char *data[POWER_FILES];
	size_t size[POWER_FILES];
	char names[POWER_NAMES][256];
	int named[POWER_NAMES];   /* which file; -1: no such name */
	int nnames;
};

static struct power_state power_now;

static void
power_resize(int file, size_t size, int grow_only)
{
	struct power_state *s = &power_now;

	if (!s->data[file])
		s->data[file] = calloc(1, POWER_FILE_MAX);
	if (size > POWER_FILE_MAX) {
		fprintf(stderr, "powercut.h: too long a file\n");
		exit(1);
	}
	if (size < s->size[file] && grow_only)
		return;
	if (size < s->size[file])
		memset(s->data[file] + size, 0, s->size[file] - size);
	s->size[file] = size;
}

/* A data operation, from its byte `from` to before `end`. */
static void
power_do(const struct power_op *o, size_t from, size_t end)
{
	if (o->kind == POWER_SIZE) {
		power_resize(o->file, o->size, 0);
		return;
	}
	if (o->kind == POWER_GROW) {
		power_resize(o->file, o->size, 1);
		return;
	}
	if (from >= end)
		return;
	power_resize(o->file, o->at + end, 1);
	memcpy(power_now.data[o->file] + o->at + from, o->data + from, end - from);
}

static void
power_do_torn(const struct power_op *o, int torn)
{
	size_t cut = POWER_SECTOR - o->at % POWER_SECTOR;

	if (o->kind != POWER_WRITE || cut >= o->size)
		cut = o->size;
	power_do(o, torn == 2 ? cut : 0, torn == 1 ? cut : o->size);
}

static int *
power_slot(const char *name)
{
	struct power_state *s = &power_now;
	int i;

	for (i = 0; i < s->nnames; i++)
		if (!strcmp(s->names[i], name))
			return &s->named[i];
	snprintf(s->names[i], sizeof s->names[i], "%s", name);
	s->named[i] = -1;
	s->nnames++;
	return &s->named[i];
}

static void
power_do_name(const struct power_op *o)
{
	int *slot = power_slot(o->name);

	if (o->kind == POWER_NAME) {
		*slot = o->file;
	} else if (o->kind == POWER_UNNAME) {
		*slot = -1;
	} else if (*slot >= 0) {
		*power_slot(o->to) = *slot;
		*power_slot(o->name) = -1;
	}
}

static int
power_chosen(const struct power_choice *c, int i)
{
	return i >= c->first && i < c->end && i != c->missing;
}

static char power_unsynced[POWER_OPS];

/* Which operations before number end are not synced, and how many: of the file that has most, and of names. */
static void
power_prepare(int end, int *data, int *names)
{
	int n[POWER_FILES] = {0}, file;

	*data = *names = 0;
	for (int i = 0; i < end; i++) {
		enum power_kind kind = power_ops[i].kind;

		file = power_ops[i].file;
		power_unsynced[i] = kind <= POWER_GROW || (kind >= POWER_NAME && kind <= POWER_RENAME);
		for (int k = 0; k < i; k++) {
			if (kind == POWER_SYNC_DIR && power_ops[k].kind >= POWER_NAME)
				power_unsynced[k] = 0;
			/* What a sync has failed to write no later one writes: 2. */
			if (kind == POWER_SYNC && power_ops[k].file == file && power_ops[k].kind <= POWER_GROW && power_unsynced[k] == 1)
				power_unsynced[k] = 0;
			if (kind == POWER_FAILED_SYNC && power_ops[k].file == file && power_unsynced[k] == 1 && power_ops[k].kind <= POWER_GROW)
				power_unsynced[k] = 2;
		}
	}
	for (int i = 0; i < end; i++) {
		*names += power_unsynced[i] && power_ops[i].kind >= POWER_NAME;
		if (power_unsynced[i] && power_ops[i].kind <= POWER_GROW)
			n[power_ops[i].file]++;
	}
	for (file = 0; file < POWER_FILES; file++)
		*data = n[file] > *data ? n[file] : *data;
}

/* The disk as of before operation number end, of what is unsynced only what is chosen; files do not depend on each other. */
static void
power_rebuild(int end, const struct power_choice *data, const struct power_choice *names)
{
	int nth[POWER_FILES] = {0}, nth_name = 0, n;

	for (int i = 0; i < POWER_FILES; i++)
		if (power_now.data[i] && power_now.size[i])
			power_resize(i, 0, 0);
	power_now.nnames = 0;
	for (int i = 0; i < end; i++) {
		const struct power_op *o = &power_ops[i];

		if (o->kind > POWER_RENAME || o->kind == POWER_SYNC || o->kind == POWER_FAILED_SYNC || o->kind == POWER_SYNC_DIR)
			continue;
		if (o->kind >= POWER_NAME) {
			if (!power_unsynced[i] || power_chosen(names, nth_name++))
				power_do_name(o);
			continue;
		}
		if (!power_unsynced[i]) {
			power_do(o, 0, o->size);
			continue;
		}
		n = nth[o->file]++;
		if (power_chosen(data, n))
			power_do_torn(o, n == data->end - 1 ? data->torn : 0);
		else if (data->sizes && o->kind == POWER_WRITE)
			power_resize(o->file, o->at + o->size, 1);
	}
}

/* The directory power_after becomes what stands in power_now. */
static void
power_lay_out(void)
{
	char path[512];

	power_empty(power_after);
	for (int i = 0; i < power_now.nnames; i++) {
		int file = power_now.named[i], fd;

		if (file < 0)
			continue;
		snprintf(path, sizeof path, "%s/%s", power_after, power_now.names[i]);
		fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
		if (fd < 0 || (power_now.size[file] &&
			pwrite(fd, power_now.data[file], power_now.size[file], 0) != (ssize_t)power_now.size[file])) {
			perror(path);
			exit(1);
		}
		close(fd);
	}
}

static int power_states;

/* One state: what the test finds wrong with it is told once with how it came about. */
static void
power_try(int end, const struct power_choice *data, const struct power_choice *names, int (*good)(int mark))
{
	int marks = 0;

	for (int i = 0; i < end; i++)
		marks += power_ops[i].kind == POWER_MARK;
	power_rebuild(end, data, names);
	power_lay_out();
	power_states++;
	if (!good(marks - 1))
		fprintf(stderr, "  … after %d of %d operations; data %d–%d but %d, torn %d, sizes %d; names %d–%d but %d\n", end, power_n, data->first,
			data->end, data->missing, data->torn, data->sizes, names->first, names->end, names->missing);
}

/* All that may be left of n operations, one after the other: 1 with *c; 0: that was all. turn counts from 0. */
static int
power_choose(int n, int turn, struct power_choice *c)
{
	static const struct power_choice few[] = {{.end = 0}, {.end = 0, .sizes = 1}, {.end = 1 << 30}};
	int k;

	if (turn < 3) {
		*c = few[turn];
		c->missing = -1;
		c->end = c->end ? n : 0;
		return turn == 0 || n;
	}
	turn -= 3;
	if (turn < 3 * n) {                       /* the first k, the last of them whole or torn; the sizes of the rest */
		k = turn / 3 + 1;
		*c = (struct power_choice){.end = k, .missing = -1, .torn = turn % 3, .sizes = k % 2};
		return 1;
	}
	turn -= 3 * n;
	if (turn < n) {                           /* only the last k, the one before not */
		*c = (struct power_choice){.first = turn, .end = n, .missing = -1, .torn = turn % 3};
		return 1;
	}
	turn -= n;
	*c = (struct power_choice){.end = n, .missing = turn, .sizes = 1};
	return turn < n;
}

/* good(mark) is called for each state of power_after, after mark was promised (-1: nothing yet): 1, or 0 when it is not right.
   first: the operation from which on. */
static void
power_cuts(int (*good)(int mark), int first)
{
	power_record = 0;
	for (int end = first; end <= power_n; end++) {
		struct power_choice data, names;
		int ndata, nnames;

		power_prepare(end, &ndata, &nnames);
		for (int i = 0; power_choose(ndata, i, &data); i++)
			for (int k = 0; power_choose(nnames, k, &names); k++)
				if (!names.torn && !names.sizes)
					power_try(end, &data, &names, good);
	}
}
