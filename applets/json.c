#include <stdio.h>
#include <string.h>
#include "enc.h"
#include "json.h"
#include "utc.h"

void
json_begin_in(struct json *j, char *room, size_t size)
{
	j->b = (struct buf){room, 0, size, 0};
	buf_char(&j->b, '{');
}

void
json_begin(struct json *j)
{
	json_begin_in(j, j->text, sizeof j->text);
}

static void
name_field(struct json *j, const char *name)
{
	if (j->b.len > 1)
		buf_char(&j->b, ',');
	enc_json(&j->b, name, strlen(name));
	buf_char(&j->b, ':');
}

void
json_string(struct json *j, const char *name, const char *value)
{
	name_field(j, name);
	enc_json(&j->b, value, strlen(value));
}

void
json_number(struct json *j, const char *name, uint64_t value)
{
	name_field(j, name);
	buf_fmt(&j->b, "%llu", (unsigned long long)value);
}

void
json_seconds(struct json *j, const char *name, long ms)
{
	name_field(j, name);
	buf_fmt(&j->b, "%ld.%03ld", ms / 1000, ms % 1000);
}

void
json_time(struct json *j, const char *name, int64_t t)
{
	struct utc u;

	utc_split(t, &u);
	name_field(j, name);
	buf_fmt(&j->b, "\"%04d-%02d-%02dT%02d:%02d:%02dZ\"", u.year, u.month, u.day, u.hour, u.minute, u.second);
}

const char *
json_text(struct json *j)
{
	buf_str(&j->b, "}\n");
	return j->b.p;
}

void
json_end(struct json *j)
{
	fputs(json_text(j), stdout);
}
