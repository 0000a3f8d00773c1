#pragma once
/* One JSON object a line on standard output (--json), of any length. Fields appear in the order of the calls. */
#include <stdint.h>
#include "buf.h"

struct json {
	struct buf b;   /* json.c's: on the heap, from json_begin until one of the last two */
};

void json_begin(struct json *j);
void json_string(struct json *j, const char *name, const char *value);
void json_number(struct json *j, const char *name, uint64_t value);
void json_seconds(struct json *j, const char *name, long ms);
/* "2025-12-29T10:05:18Z" */
void json_time(struct json *j, const char *name, int64_t t);
/* The line, newline included, for printing it later; without memory it only says so. Valid until json_free. */
const char *json_text(struct json *j);
void json_free(struct json *j);
/* All that is left: print it. */
void json_end(struct json *j);
