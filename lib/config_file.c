#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "config_file.h"

static const char *
refused_kind(mode_t mode)
{
	return S_ISDIR(mode) ? "is a directory" : "is not a regular file";
}

static int
read_all(int fd, struct config_file *f, const char *label, size_t max, struct err *e)
{
	ssize_t n;

	f->p = malloc(max + 2);
	if (!f->p)
		return fail_memory(e);
	/* one byte more than allowed, so that too much is told from just enough */
	while (f->len <= max && (n = read(fd, f->p + f->len, max + 1 - f->len)) != 0) {
		if (n > 0)
			f->len += (size_t)n;
		else if (errno != EINTR)
			return fail(e, ERR_USAGE, "%s: %s", label, strerror(errno));
	}
	f->p[f->len] = '\0';
	if (f->len > max)
		return fail(e, ERR_USAGE, "%s: larger than %zu bytes: is it the right file?", label, max);
	return 0;
}

int
config_file_read(struct config_file *f, const char *path, const char *label, size_t max, struct err *e)
{
	/* without O_NONBLOCK, opening a FIFO waits for its writer */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY), r;
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		r = fail(e, ERR_USAGE, "%s: %s", label, strerror(errno));
	else if (!S_ISREG(st.st_mode) && !S_ISCHR(st.st_mode))   /* /dev/null is none at all */
		r = fail(e, ERR_USAGE, "%s: %s", label, refused_kind(st.st_mode));
	else
		r = read_all(fd, f, label, max, e);
	f->mode = r < 0 ? 0 : st.st_mode & 07777;
	if (fd >= 0)
		close(fd);
	return r;
}

/* Lines being turned into entries, which are never longer: out stays behind in. */
struct text {
	const char *in;
	char *out;
	const char *why;   /* what is wrong with the line, NULL so far */
};

static int
is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static int
is_control(char c)
{
	return ((unsigned char)c < ' ' && c != '\t') || c == 0x7f;
}

static int
at_line_end(const char *p)
{
	return !*p || *p == '\n' || (*p == '\r' && (p[1] == '\n' || !p[1]));
}

static void
skip_blanks(struct text *t)
{
	while (is_blank(*t->in))
		t->in++;
}

static void
take_char(struct text *t)
{
	if (at_line_end(t->in))
		t->why = "a quote that is not closed, or a backslash at the end";
	else if (is_control(*t->in))
		t->why = "a control character: is it a text file?";
	else
		*t->out++ = *t->in++;
}

static void
take_single_quoted(struct text *t)
{
	for (t->in++; *t->in != '\'' && !t->why;)
		take_char(t);
	t->in += !t->why;
}

static void
take_double_quoted(struct text *t)
{
	for (t->in++; *t->in != '"' && !t->why; take_char(t))
		if (*t->in == '\\' && t->in[1] && strchr("\"\\$`", t->in[1]))
			t->in++;
	t->in += !t->why;
}

static void
take_value(struct text *t)
{
	while (!t->why && !at_line_end(t->in) && !is_blank(*t->in)) {
		if (*t->in == '\'') {
			take_single_quoted(t);
		} else if (*t->in == '"') {
			take_double_quoted(t);
		} else {
			t->in += *t->in == '\\';
			take_char(t);
		}
	}
}

static int
is_name_char(char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
}

/* POSIX's name: 0 when none stands there. */
static size_t
name_length(const char *p)
{
	size_t n = 0;

	if (*p >= '0' && *p <= '9')
		return 0;
	while (is_name_char(p[n]))
		n++;
	return n;
}

/* The line's entry, without its NUL; 0 when the line has none. */
static int
take_entry(struct text *t)
{
	size_t n;

	skip_blanks(t);
	if (at_line_end(t->in) || *t->in == '#')
		return 0;
	if (!strncmp(t->in, "export", 6) && is_blank(t->in[6])) {
		t->in += 6;
		skip_blanks(t);
	}
	n = name_length(t->in);
	if (!n || t->in[n] != '=') {
		t->why = "not of the form NAME=value (no spaces around the =)";
		return 0;
	}
	memmove(t->out, t->in, n + 1);
	t->out += n + 1;
	t->in += n + 1;
	take_value(t);
	skip_blanks(t);
	if (!t->why && !at_line_end(t->in) && *t->in != '#')
		t->why = "a value with a space: put quotes around it";
	return 1;
}

static int
text_entries(struct config_file *f, const char *label, struct err *e)
{
	struct text t = {f->p, f->p, NULL};

	if (!strncmp(t.in, "\xef\xbb\xbf", 3))
		t.in += 3;
	for (int line = 1; *t.in; line++) {
		int entry = take_entry(&t);

		if (t.why)
			return fail(e, ERR_USAGE, "%s, line %d: %s", label, line, t.why);
		t.in += strcspn(t.in, "\n");
		t.in += *t.in == '\n';
		/* only now: the NUL may fall on the newline */
		if (entry)
			*t.out++ = '\0';
	}
	if (t.out < t.in)  /* what is left of longer text may be a secret's end */
		explicit_bzero(t.out, (size_t)(t.in - t.out));
	f->len = (size_t)(t.out - f->p);
	return 0;
}

/* An environment block as the kernel shows it. What merely has NULs in it is a binary file. */
static int
check_block(struct config_file *f, const char *label, struct err *e)
{
	int entry = 1;

	for (const char *p = f->p; p < f->p + f->len; p += strlen(p) + 1, entry++) {
		size_t n = 0;

		while (p[n] && p[n] != '=' && !is_control(p[n]))
			n++;
		if (*p && (n == 0 || p[n] != '='))
			return fail(e, ERR_USAGE, "%s, entry %d: not of the form NAME=value: is it a binary file?", label, entry);
	}
	return 0;
}

int
config_file_entries(struct config_file *f, const char *label, struct err *e)
{
	return memchr(f->p, '\0', f->len) ? check_block(f, label, e) : text_entries(f, label, e);
}

const char *
config_file_get(const struct config_file *f, const char *name)
{
	const char *value = NULL;
	size_t n = strlen(name);

	for (const char *p = f->p; p && p < f->p + f->len; p += strlen(p) + 1)
		if (!strncmp(p, name, n) && p[n] == '=')
			value = p + n + 1;
	return value;
}

void
config_file_wipe(struct config_file *f)
{
	if (f->p)
		explicit_bzero(f->p, f->len);
	free(f->p);
	*f = (struct config_file){0};
}
