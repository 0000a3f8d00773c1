#include <string.h>
#include "enc.h"
#include "http_reply.h"
#include "http_wire.h"

/* The next line of the header block, kept there. */
static char *
read_block_line(struct http *h, struct err *e)
{
	size_t room = sizeof h->block - h->block_len;
	char *line = h->block + h->block_len;
	ssize_t n = http_read_line(h, line, room < HTTP_LINE_MAX ? room : HTTP_LINE_MAX, e);

	if (n < 0)
		return NULL;
	h->block_len += (size_t)n + 1;
	return line;
}

static int
is_token_char(int c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
		(c && strchr("!#$%&'*+-.^_`|~", c));
}

size_t
http_token_len(const char *s)
{
	size_t n = 0;

	while (is_token_char((unsigned char)s[n]))
		n++;
	return n;
}

static int
is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* "Name: value" in place: name lowered, value trimmed. A space before the colon and a folded line are refused
   here too, since neither begins with a token that a colon follows (RFC 9112 sections 5.1, 5.2). */
static int
split_field(const struct http *h, char *line, struct pair *out, struct err *e)
{
	size_t n = http_token_len(line);
	char *value = line + n + 1, *end;

	if (!n || line[n] != ':')
		return http_bad(h, e, is_blank(*line) ? "a folded header line" : "a malformed header line");
	line[n] = '\0';
	enc_lower(line);
	while (is_blank(*value))
		value++;
	for (end = value + strlen(value); end > value && is_blank(end[-1]);)
		*--end = '\0';
	*out = (struct pair){line, value};
	return 0;
}

/* RFC 9112 section 4. The space before an absent reason may be absent too: many servers leave it out.
   RFC 9110 section 15: a status above 599 is to be taken as 5xx, so it passes. */
static int
read_status(struct http *h, struct http_reply *rp, struct err *e)
{
	const char *s = read_block_line(h, e);
	char shown[256];
	struct buf b = BUF(shown);
	int status;

	if (!s)
		return -1;
	if (strncmp(s, "HTTP/1.", 7) || (s[7] != '0' && s[7] != '1') || s[8] != ' ' ||
	    (status = enc_number(s + 9, 3, 999)) < 100 || (s[12] && s[12] != ' ')) {
		enc_printable(&b, s, strnlen(s, 40));
		return fail(e, ERR_PROTO, "%s: answered \"%s\", which is not HTTP/1.1: is it the right port?",
			h->server.host, shown);
	}
	rp->status = status;
	h->keep = s[7] == '1';
	return 0;
}

/* One Content-Length field, which may be a list of the same number (RFC 9112 section 6.3 rule 5). */
static int
add_length(struct http_reply *rp, const char *s)
{
	int64_t n;

	do {
		while (is_blank(*s))
			s++;
		if (*s < '0' || *s > '9')
			return -1;
		for (n = 0; *s >= '0' && *s <= '9'; s++) {
			if (n > (INT64_MAX - 9) / 10)
				return -1;
			n = n * 10 + (*s - '0');
		}
		while (is_blank(*s))
			s++;
		if (rp->length >= 0 && rp->length != n)
			return -1;
		rp->length = n;
	} while (*s++ == ',');
	return s[-1] ? -1 : 0;
}

static int
has_token(const char *list, const char *token)
{
	size_t n;

	for (; *list; list += n + (list[n] == ',')) {
		list += strspn(list, " \t");
		n = strcspn(list, ",");
		if (http_token_len(list) == strlen(token) && !strncasecmp(list, token, strlen(token)))
			return 1;
	}
	return 0;
}

/* What the fields say of the body's end: *chunked, rp->length, h->keep. */
static int
read_framing(struct http *h, struct http_reply *rp, int *chunked, struct err *e)
{
	size_t i;

	for (i = 0; i < rp->nfields; i++) {
		const char *name = rp->fields[i].name, *value = rp->fields[i].value;

		if (!strcmp(name, "content-length") && add_length(rp, value) < 0)
			return http_bad(h, e, "a malformed Content-Length, or two that differ");
		if (!strcmp(name, "transfer-encoding") && ((*chunked)++ || strcasecmp(value, "chunked")))
			return http_bad(h, e, "a Transfer-Encoding other than chunked");
		if (!strcmp(name, "connection") && has_token(value, "close"))
			h->keep = 0;
	}
	/* RFC 9112 section 6.1 lets Transfer-Encoding win, or calls it an attack. */
	if (*chunked && rp->length >= 0)
		return http_bad(h, e, "Content-Length together with Transfer-Encoding");
	return 0;
}

/* RFC 9112 section 6.3: how the body of this reply ends. */
static int
begin_body(struct http *h, const char *method, struct http_reply *rp, struct err *e)
{
	int chunked = 0;

	if (read_framing(h, rp, &chunked, e) < 0)
		return -1;
	rp->has_body = strcmp(method, "HEAD") && rp->status != 204 && rp->status != 304;
	h->left = 0;
	h->slow_ms = 0;
	h->slow = 0;
	if (!rp->has_body) {
		h->state = HTTP_DONE;
		/* A 204 that announces a body may well send it. */
		if (rp->status == 204 && (chunked || rp->length > 0))
			h->keep = 0;
	} else if (chunked) {
		h->state = HTTP_CHUNK_SIZE;
	} else if (rp->length >= 0) {
		h->left = (uint64_t)rp->length;
		h->state = h->left ? HTTP_LENGTH : HTTP_DONE;
	} else {
		h->state = HTTP_UNTIL_CLOSE;
		h->keep = 0;
	}
	return 0;
}

int
http_reply_head(struct http *h, const char *method, struct http_reply *rp, struct err *e)
{
	char *line;

	h->block_len = 0;
	rp->nfields = 0;
	rp->length = -1;
	rp->has_body = 0;
	if (read_status(h, rp, e) < 0)
		return -1;
	while ((line = read_block_line(h, e)) && *line) {
		if (rp->nfields == HTTP_FIELDS_MAX)
			return http_bad(h, e, "too many header fields");
		if (split_field(h, line, &rp->fields[rp->nfields++], e) < 0)
			return -1;
	}
	if (!line)
		return -1;
	return rp->status < 200 ? 0 : begin_body(h, method, rp, e);
}

static int
read_trailers(struct http *h, struct err *e)
{
	char line[HTTP_LINE_MAX];
	struct pair ignored;
	size_t total = 0, count = 0;
	ssize_t n;

	while ((n = http_read_line(h, line, sizeof line, e)) > 0) {
		total += (size_t)n + 2;
		if (total > HTTP_TRAILER_MAX || ++count > HTTP_FIELDS_MAX)
			return http_bad(h, e, "too many trailer fields");
		if (split_field(h, line, &ignored, e) < 0)
			return -1;
	}
	return n < 0 ? -1 : 0;
}

/* RFC 9112 section 7.1: the size in hex, then nothing or an extension, which is skipped. Spaces count only
   before an extension. */
static int
parse_chunk_size(const char *s, uint64_t *size)
{
	int digits = 0, d;

	for (*size = 0; (d = enc_digit(*s)) >= 0; s++, digits++) {
		if (*size > (uint64_t)INT64_MAX >> 4)
			return -1;
		*size = *size << 4 | (unsigned)d;
	}
	if (!digits)
		return -1;
	return !*s || s[strspn(s, " \t")] == ';' ? 0 : -1;
}

static int
begin_chunk(struct http *h, struct err *e)
{
	char line[HTTP_LINE_MAX];

	if (http_read_line(h, line, sizeof line, e) < 0)
		return -1;
	if (parse_chunk_size(line, &h->left) < 0)
		return http_bad(h, e, "a malformed chunk size");
	h->state = HTTP_CHUNK;
	if (h->left)
		return 0;
	if (read_trailers(h, e) < 0)
		return -1;
	h->state = HTTP_DONE;
	return 0;
}

static int
end_chunk(struct http *h, struct err *e)
{
	int cr = http_next_byte(h, e), lf = cr == '\r' ? http_next_byte(h, e) : 0;

	if (cr < 0 || lf < 0)
		return -1;
	if (lf != '\n')
		return http_bad(h, e, "a chunk that is longer than it said");
	h->state = HTTP_CHUNK_SIZE;
	return 0;
}

/* As read(2): what is in in first, large reads past it. */
static ssize_t
take(struct http *h, void *p, size_t n, struct err *e)
{
	ssize_t got;

	if (!http_unread(h)) {
		if (n >= sizeof h->in)
			return http_wire_read(h, p, n, e);
		got = http_fill(h, e);
		if (got <= 0)
			return got;
	}
	if (n > h->in_len - h->in_pos)
		n = h->in_len - h->in_pos;
	memcpy(p, h->in + h->in_pos, n);
	h->in_pos += n;
	return (ssize_t)n;
}

static ssize_t
read_until_close(struct http *h, void *p, size_t n, struct err *e)
{
	ssize_t got = take(h, p, n, e);

	if (!got)
		h->state = HTTP_DONE;
	return got;
}

static ssize_t
read_counted(struct http *h, void *p, size_t n, struct err *e)
{
	ssize_t got = take(h, p, n < h->left ? n : (size_t)h->left, e);

	if (got <= 0)
		return got < 0 ? -1 : http_cut(h, e);
	h->left -= (uint64_t)got;
	if (h->left)
		return got;
	if (h->state == HTTP_CHUNK)
		return end_chunk(h, e) < 0 ? -1 : got;
	h->state = HTTP_DONE;
	return got;
}

ssize_t
http_reply_body(struct http *h, void *p, size_t n, struct err *e)
{
	if (h->state == HTTP_CHUNK_SIZE && begin_chunk(h, e) < 0)
		return -1;
	switch (h->state) {
	case HTTP_DONE:
		return 0;
	case HTTP_LENGTH:
	case HTTP_CHUNK:
		return read_counted(h, p, n, e);
	case HTTP_UNTIL_CLOSE:
		return read_until_close(h, p, n, e);
	default:
		return fail(e, ERR_NET, "%s: there is no answer to read", h->server.host);
	}
}
