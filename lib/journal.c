#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "buf.h"
#include "enc.h"
#include "hash.h"
#include "journal.h"
#include "private.h"

#ifndef JOURNAL_SYSTEM_DIR             /* a test has its own */
#define JOURNAL_SYSTEM_DIR "/var/lib"
#endif

enum {
	SUM_LEN = 9,                                             /* "crc32c " in hex */
	LINE_MAX_BYTES = SUM_LEN + 16 + 2 * 3 * JOURNAL_TEXT_MAX,  /* a byte of text may take three */
};

/* Where journals may go: base + rest. */
struct place {
	const char *base, *rest;
	int make_base;            /* base too is ours to make */
};

/* As private_dir_fault, for a place whose directory is made when missing. */
static const char *
place_fault(const struct place *x, char out[PATH_MAX], int *unsafe)
{
	struct buf path = buf_over(out, PATH_MAX);

	buf_fmt(&path, "%s%s", x->base, x->rest);
	*unsafe = *x->base != '/';
	if (*unsafe)
		return "not an absolute path";   /* to be ignored: XDG Base Directory Specification */
	if (!buf_ok(&path))
		return strerror(ENAMETOOLONG);
	private_make_dirs(out, x->make_base ? 0 : strlen(x->base), 0700);
	return private_dir_fault(out, unsafe);
}

int
journal_dir(char out[PATH_MAX], struct err *e)
{
	const struct place places[] = {
		{getenv("XDG_STATE_HOME"), "/r2", 1},
		{JOURNAL_SYSTEM_DIR, "/r2", 0},
		{getenv("HOME"), "/.local/state/r2", 0},
	};
	char text[sizeof e->msg];
	struct buf why = BUF(text);
	int unsafe, warn = 0;

	e->kind = ERR_NONE;
	for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
		const struct place *x = &places[i];
		const char *fault;

		if (!x->base || !*x->base)
			continue;
		fault = place_fault(x, out, &unsafe);
		if (!fault && warn)
			fail(e, ERR_LOCAL, "journals go to %s; passed over: %s", err_show(e, out), text);
		if (!fault)
			return 0;
		warn |= unsafe;
		buf_fmt(&why, "%s%s: %s", why.len ? "; " : "", err_show(e, out), fault);
	}
	return fail(e, ERR_LOCAL, "no directory for journals, so that what is cut off would start again from nothing (%s): "
		"set XDG_STATE_HOME to a directory of your own", text);
}

int
journal_any(const char *dir)
{
	DIR *d = opendir(dir);
	int n = 0;

	while (d && n < 3 && readdir(d))
		n++;
	if (d)
		closedir(d);
	return n == 3;      /* besides . and .. */
}

static int
oops(const struct journal *j, struct err *e)
{
	return fail_errno(e, "journal %s", err_show(e, j->path));
}

static int
too_long(struct err *e)
{
	return fail(e, ERR_LOCAL, "a record is too long for a journal");
}

int
journal_open(struct journal *j, const char *path, struct err *e)
{
	int rc;

	j->fd = -1;
	j->end = -1;
	if (snprintf(j->path, sizeof j->path, "%s", path) >= (int)sizeof j->path)
		return fail(e, ERR_LOCAL, "the journal's name is too long");
	rc = private_open(&j->fd, j->path, "journal", e);
	if (rc == 0)
		pthread_mutex_init(&j->lock, NULL);
	return rc;
}

/* What a reading has found. */
struct found {
	struct journal_text *t;
	void (*part)(void *arg, unsigned number, const char *note);   /* NULL: do not report */
	void *arg;
	int begun;
	off_t begin, end;         /* of the last journal_begin, behind the last record */
};

/* Cut the next word off *rest (words are parted by exactly one space) and decode it into out; 0, or -1 when it is not ours. */
static int
take_word(char **rest, char *out, size_t cap)
{
	char *word = *rest ? strsep(rest, " ") : NULL;
	long n = word ? enc_unpercent(word, strlen(word), 0) : -1;

	if (n < 0 || (size_t)n >= cap || strlen(word) != (size_t)n)
		return -1;
	memcpy(out, word, (size_t)n + 1);
	return 0;
}

/* A record's body, NUL-terminated. */
static int
take_body(struct found *f, char *body, off_t at)
{
	char number[16], note[JOURNAL_NOTE_MAX], kind[8];
	unsigned long long n;

	if (take_word(&body, kind, sizeof kind) < 0)
		return -1;
	if (!strcmp(kind, "begin")) {
		if (take_word(&body, f->t->identity, sizeof f->t->identity) < 0 ||
			take_word(&body, f->t->token, sizeof f->t->token) < 0 || body)
			return -1;
		f->begun = 1;
		f->begin = at;
		return 0;
	}
	if (strcmp(kind, "part") || !f->begun || take_word(&body, number, sizeof number) < 0 ||
		take_word(&body, note, sizeof note) < 0 || body)
		return -1;
	n = strtoull(number, NULL, 10);
	if (!*number || strspn(number, "0123456789") != strlen(number) || n > UINT_MAX)
		return -1;
	if (f->part)
		f->part(f->arg, (unsigned)n, note);
	return 0;
}

static void
sum(char out[SUM_LEN + 1], const char *body, size_t n)
{
	snprintf(out, SUM_LEN + 1, "%08x ", (unsigned)hash_crc32c(0, body, n));
}

/* A line of n bytes, its newline replaced by NUL. */
static int
take_line(struct found *f, char *line, size_t n, off_t at)
{
	char want[SUM_LEN + 1];

	if (n < SUM_LEN || memchr(line, '\0', n))
		return -1;
	sum(want, line + SUM_LEN, n - SUM_LEN);
	return memcmp(line, want, SUM_LEN) ? -1 : take_body(f, line + SUM_LEN, at);
}

/* Records from offset f->end on, up to the first that is none. -1: the file cannot be read. */
static int
scan(int fd, struct found *f)
{
	char part[LINE_MAX_BYTES];
	size_t have = 0;

	for (;;) {
		ssize_t got = pread(fd, part + have, sizeof part - have, f->end + (off_t)have);
		char *line = part, *lf;

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -1;
		have += (size_t)got;
		while ((lf = memchr(line, '\n', have))) {
			size_t n = (size_t)(lf - line);

			*lf = '\0';
			if (take_line(f, line, n, f->end) < 0)
				return 0;
			f->end += (off_t)n + 1;
			have -= n + 1;
			line = lf + 1;
		}
		/* The end, or no room: no line is so long. */
		if (!got)
			return 0;
		memmove(part, line, have);
	}
}

/* The next record must not be glued to a torn one, nor bring to life what stands behind it. */
static int
cut_tail(struct journal *j, off_t end)
{
	struct stat st;

	if (fstat(j->fd, &st) < 0 || (st.st_size != end && ftruncate(j->fd, end) < 0))
		return -1;
	j->end = end;
	return 0;
}

int
journal_load(struct journal *j, struct journal_text *t,
	void (*part)(void *arg, unsigned number, const char *note), void *arg, struct err *e)
{
	struct found f = {.t = t}, last = {.t = t, .part = part, .arg = arg};

	/* Twice: which parts count is known only once the last beginning is. */
	if (j->fd >= 0 && (scan(j->fd, &f) < 0 || cut_tail(j, f.end) < 0))
		return oops(j, e);
	t->identity[0] = t->token[0] = '\0';
	last.end = f.begin;
	if (j->fd >= 0 && scan(j->fd, &last) < 0)
		return oops(j, e);
	return 0;
}

/* Always at the end of the last whole record: what a full disk left of one is written over. */
static int
write_record(struct journal *j, const struct buf *line)
{
	if ((j->end < 0 && cut_tail(j, 0) < 0) || private_write(j->fd, line->p, line->len, (uint64_t)j->end) < line->len)
		return -1;
	j->end += (off_t)line->len;
	return 0;
}

/* line has room for the checksum in front and for the newline. */
static int
append(struct journal *j, struct buf *line, struct err *e)
{
	char text[SUM_LEN + 1];
	int rc;

	buf_char(line, '\n');
	if (!buf_ok(line))
		return too_long(e);
	sum(text, line->p + SUM_LEN, line->len - SUM_LEN - 1);
	memcpy(line->p, text, SUM_LEN);
	pthread_mutex_lock(&j->lock);
	rc = write_record(j, line);
	pthread_mutex_unlock(&j->lock);
	if (rc < 0 || fdatasync(j->fd) < 0)
		return oops(j, e);
	return 0;
}

int
journal_begin(struct journal *j, const char *identity, const char *token, struct err *e)
{
	char text[LINE_MAX_BYTES];
	struct buf line = BUF(text);

	if (j->fd < 0)
		return 0;
	if (strlen(identity) >= JOURNAL_TEXT_MAX || strlen(token) >= JOURNAL_TEXT_MAX)
		return too_long(e);
	buf_fmt(&line, "%*sbegin ", SUM_LEN, "");
	enc_query(&line, identity);
	buf_char(&line, ' ');
	enc_query(&line, token);
	return append(j, &line, e);
}

int
journal_part(struct journal *j, unsigned number, const char *note, struct err *e)
{
	char text[SUM_LEN + 24 + 3 * JOURNAL_NOTE_MAX];
	struct buf line = BUF(text);

	if (j->fd < 0)
		return 0;
	if (strlen(note) >= JOURNAL_NOTE_MAX)
		return too_long(e);
	buf_fmt(&line, "%*spart %u ", SUM_LEN, "", number);
	enc_query(&line, note);
	return append(j, &line, e);
}

static void
close_file(struct journal *j)
{
	close(j->fd);
	j->fd = -1;
	pthread_mutex_destroy(&j->lock);
}

void
journal_remove(struct journal *j)
{
	if (j->fd < 0)
		return;
	unlink(j->path);
	close_file(j);
}

void
journal_close(struct journal *j)
{
	if (j->fd < 0)
		return;
	if (j->end == 0)
		unlink(j->path);
	close_file(j);
}
