#include <string.h>
#include <strings.h>
#include "s3_call.h"

enum { XML_BODY_MAX = 16 << 20 };   /* a thousand rows with the longest keys, encoded, are 4 MiB */

/* Every answer may be an <Error> although its status is 200. */
struct watched {
	int (*element)(void *arg, const char *path, const char *text, size_t len, struct err *e);
	void *arg;
	struct s3_error error;
};

static int
watched_element(void *arg, const char *path, const char *text, size_t len, struct err *e)
{
	struct watched *w = arg;

	return s3_error_element(&w->error, path, text, len, e) < 0 ? -1 : w->element(w->arg, path, text, len, e);
}

int
s3_read_xml(struct s3 *s, const struct s3_call *c, struct xml *x, struct err *e)
{
	struct watched w = {.element = x->element, .arg = x->arg};
	struct s3_refusal r = s3_call_refusal(s, c, 200);
	char part[4096];
	size_t total = 0;
	ssize_t n;

	x->element = watched_element;
	// cppcheck-suppress autoVariables
	x->arg = &w;   /* x is not fed again once this returns */
	while ((n = http_read(&s->http, part, sizeof part, e)) > 0) {
		total += (size_t)n;
		if (total > XML_BODY_MAX)
			return fail(e, ERR_PROTO, "%s: an answer over %d MiB", s->http.server.host, XML_BODY_MAX >> 20);
		if (xml_feed(x, part, (size_t)n, e) < 0)
			return -1;
	}
	if (n < 0 || xml_end(x, e) < 0)
		return -1;
	e->retry_after_s = 0;
	return *w.error.code ? s3_refused(e, &r, &w.error) : 0;
}

int
s3_xml_root(const struct xml *x, const char *name, struct err *e)
{
	const char *root = x->path + strcspn(x->path, ":/");

	root = *root == ':' ? root + 1 : x->path;
	return strncmp(root, name, strlen(name)) ? fail(e, ERR_PROTO, "the server's answer is no <%s>: check R2_ENDPOINT", name) : 0;
}

int
s3_xml_true(const char *text)
{
	text += strspn(text, " \t\r\n");
	return *text == '1' || !strncasecmp(text, "true", 4);
}

void
s3_xml_begin(struct buf *b, const char *root)
{
	buf_fmt(b, "<%s xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">", root);
}
