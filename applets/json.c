#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "enc.h"
#include "json.h"
#include "utc.h"

enum {
	ESCAPED = 6,    /* bytes that one byte becomes at most */
	PLAIN = 64,     /* more than those of a number, a time, or what stands around a field */
};

/* Without memory the text stays as it is, and b says so. */
static void
make_room(struct json *j, size_t n)
{
	buf_grow((void **)&j->b.p, &j->b.cap, j->b.len + n, 1);
}

void
json_begin(struct json *j)
{
	j->b = (struct buf){0};
	make_room(j, PLAIN);
	buf_char(&j->b, '{');
}

static void
name_field(struct json *j, const char *name, size_t value)
{
	make_room(j, ESCAPED * (strlen(name) + value) + 2 * PLAIN);
	if (j->b.len > 1)
		buf_char(&j->b, ',');
	enc_json(&j->b, name);
	buf_char(&j->b, ':');
}

void
json_string(struct json *j, const char *name, const char *value)
{
	name_field(j, name, strlen(value));
	enc_json(&j->b, value);
}

void
json_number(struct json *j, const char *name, uint64_t value)
{
	name_field(j, name, 0);
	buf_fmt(&j->b, "%llu", (unsigned long long)value);
}

void
json_seconds(struct json *j, const char *name, long ms)
{
	name_field(j, name, 0);
	buf_fmt(&j->b, "%ld.%03ld", ms / 1000, ms % 1000);
}

void
json_time(struct json *j, const char *name, int64_t t)
{
	struct utc u;

	utc_split(t, &u);
	name_field(j, name, 0);
	buf_fmt(&j->b, "\"%04d-%02d-%02dT%02d:%02d:%02dZ\"", u.year, u.month, u.day, u.hour, u.minute, u.second);
}

const char *
json_text(struct json *j)
{
	buf_str(&j->b, "}\n");
	return buf_ok(&j->b) ? j->b.p : "{\"error\":\"out of memory\"}\n";
}

void
json_free(struct json *j)
{
	free(j->b.p);
	j->b.p = NULL;
}

void
json_end(struct json *j)
{
	fputs(json_text(j), stdout);
	json_free(j);
}
