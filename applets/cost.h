#pragma once
/* What it costs a month to keep objects, and to have stored them: list prices, whole micro-dollars, no floating point.
   doc/cost.md works examples out by hand. */
#include <stdint.h>
#include "opt.h"
#include "s3.h"

/* Standard and infrequent access. */
enum { COST_CLASSES = 2 };
struct cost_use {
	uint64_t objects;
	uint64_t bytes[COST_CLASSES];
	uint64_t operations[COST_CLASSES];   /* that stored them: a PUT each, or a multipart upload's parts and two more */
};

void cost_add(struct cost_use *u, const struct s3_entry *x);
uint64_t cost_bytes(const struct cost_use *u);

/* Micro-dollars a month that keeping u's bytes at R2 costs beyond the free tier, not rounded up: what not keeping them saves. */
uint64_t cost_storage(const struct cost_use *u);

/* "$14.8500". Returns out. */
enum { COST_TEXT_CAP = 32 };
const char *cost_text(uint64_t micro_dollars, char out[COST_TEXT_CAP]);

/* The estimate on standard output, for people or (--json) an object for each store. */
void cost_print(const struct cost_use *u, int json);

/* For --price KEY=VALUE: another price for this run. ERR_USAGE names the known keys. */
opt_store cost_price;
