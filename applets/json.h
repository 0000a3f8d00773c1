#pragma once
/* One JSON object a line on standard output (--json). Fields appear in the order of the calls. */
#include <stdint.h>
#include "buf.h"

struct json {
	struct buf b;
	char text[16384];   /* a key of 1,024 bytes escaped, an error message, and room */
};

void json_begin(struct json *j);
void json_begin_in(struct json *j, char *room, size_t size);   /* for a line that is longer than text */
void json_string(struct json *j, const char *name, const char *value);
void json_number(struct json *j, const char *name, uint64_t value);
void json_seconds(struct json *j, const char *name, long ms);
/* "2025-12-29T10:05:18Z" */
void json_time(struct json *j, const char *name, int64_t t);
/* Print it; or, with json_text, have the line (newline included) for printing it later. */
void json_end(struct json *j);
const char *json_text(struct json *j);
