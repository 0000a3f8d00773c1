#include <stdio.h>
#include <string.h>
#include "cost.h"
#include "json.h"

/* In whole GB-months and in millions of requests where a store rounds up. Free: millionths of a GB, and requests. */
enum { STORAGE, STORAGE_IA, CLASS_A, CLASS_A_IA, FREE_STORAGE, FREE_CLASS_A, NPRICES };

#define PRICES_OF "2026-10"
#define SOURCE "developers.cloudflare.com/r2/pricing"
enum { MILLION = 1000000, GB = 1000000000, GIB = 1 << 30 };

static const char *const keys[NPRICES] = {"storage", "storage-ia", "class-a", "class-a-ia", "free-storage", "free-class-a"};

/* Micro-dollars a GB-month and a million requests. R2's GB is 10^9 bytes (developers.cloudflare.com/r2/platform/limits), Amazon's and
   Google's is 2^30. The others for comparison: aws.amazon.com/s3/pricing (us-east-1, the first 50 TB),
   cloud.google.com/storage/pricing (us-central1; Nearline), backblaze.com/cloud-storage/pricing. */
static struct store {
	const char *name;
	uint64_t gb;
	int rounds_up;
	uint64_t price[NPRICES];
} stores[] = {
	{"r2", GB, 1, {15000, 10000, 4500000, 9000000, 10 * MILLION, MILLION}},
	{"s3", GIB, 0, {23000, 12500, 5000000, 10000000, 0, 0}},
	{"gcs", GIB, 0, {20000, 10000, 5000000, 10000000, 0, 0}},
	{"b2", GB, 0, {6000, 6000, 0, 0, 10 * MILLION, 0}},
};
enum { NSTORES = sizeof stores / sizeof *stores };

/* "9b2c…-12" is the ETag of 12 parts (R2's multipart-objects page): Create, 12 times UploadPart, Complete. */
static unsigned
operations(const char *etag)
{
	const char *dash = strrchr(etag, '-');
	int parts = dash && dash - etag == 32 ? enc_number(dash + 1, strlen(dash + 1), S3_PARTS_MAX) : 0;

	return parts < 1 ? 1 : (unsigned)parts + 2;
}

void
cost_add(struct cost_use *u, const struct s3_entry *x)
{
	int ia = enc_ends_in(x->storage_class, "_IA");

	u->objects++;
	u->bytes[ia] += x->size;
	u->operations[ia] += operations(x->etag);
}

uint64_t
cost_bytes(const struct cost_use *u)
{
	return u->bytes[0] + u->bytes[1];
}

const char *
cost_text(uint64_t micro, char out[COST_TEXT_CAP])
{
	micro += 50;
	snprintf(out, COST_TEXT_CAP, "$%llu.%04u", (unsigned long long)(micro / MILLION), (unsigned)(micro % MILLION / 100));
	return out;
}

/* Of n, in units that cost price each. */
static uint64_t
times(uint64_t n, uint64_t unit, uint64_t price)
{
	return n / unit * price + n % unit * price / unit;
}

uint64_t
cost_storage(const struct cost_use *u)
{
	return times(u->bytes[0], stores->gb, stores->price[STORAGE]) + times(u->bytes[1], stores->gb, stores->price[STORAGE_IA]);
}

/* One line of a bill. */
struct item {
	uint64_t used, unit, free, price;
};

static uint64_t
charge(const struct store *s, const struct item *i)
{
	uint64_t n = i->used > i->free ? i->used - i->free : 0;

	if (s->rounds_up)
		n = (n + i->unit - 1) / i->unit * i->unit;
	return times(n, i->unit, i->price);
}

/* A line for each of the first four prices. The free tier is for the standard class. */
static uint64_t
bill(const struct store *s, const struct cost_use *u, struct item items[4])
{
	const uint64_t *p = s->price;
	uint64_t sum = 0;

	items[0] = (struct item){u->bytes[0], s->gb, times(p[FREE_STORAGE], MILLION, s->gb), p[STORAGE]};
	items[1] = (struct item){u->bytes[1], s->gb, 0, p[STORAGE_IA]};
	items[2] = (struct item){u->operations[0], MILLION, p[FREE_CLASS_A], p[CLASS_A]};
	items[3] = (struct item){u->operations[1], MILLION, 0, p[CLASS_A_IA]};
	for (int i = 0; i < 4; i++)
		sum += charge(s, &items[i]);
	return sum;
}

static void
print_json(const struct cost_use *u)
{
	static const char *const names[] = {"storage", "storage_ia", "class_a", "class_a_ia"};
	struct item items[4];
	char name[32];

	for (const struct store *s = stores; s < stores + NSTORES; s++) {
		uint64_t total = bill(s, u, items);
		struct json j;

		json_begin(&j);
		json_string(&j, "store", s->name);
		for (int i = 0; i < 4; i++) {
			snprintf(name, sizeof name, "%s_%s", names[i], i < 2 ? "bytes" : "requests");
			json_number(&j, name, items[i].used);
			snprintf(name, sizeof name, "%s_micro_usd", names[i]);
			json_number(&j, name, charge(s, &items[i]));
		}
		json_number(&j, "total_micro_usd", total);
		json_string(&j, "prices_of", PRICES_OF);
		json_end(&j);
	}
}

void
cost_print(const struct cost_use *u, int json)
{
	char money[COST_TEXT_CAP], each[COST_TEXT_CAP];
	struct item items[4];
	uint64_t total = bill(stores, u, items);

	if (json) {
		print_json(u);
		return;
	}
	printf("\nA month at R2, estimated from what is listed:\n");
	for (int i = 0; i < 4; i++) {
		const struct item *x = &items[i];

		if (i % 2 && !x->used)
			continue;
		printf("%-11s %10s  %llu %s: %llu %s, %.10g free, %s each\n", keys[i], cost_text(charge(stores, x), money),
			(unsigned long long)x->used, i < 2 ? "bytes" : "requests that stored it",
			(unsigned long long)((x->used + x->unit - 1) / x->unit), i < 2 ? "GB-month" : "million",
			(double)x->free / (double)x->unit, cost_text(x->price, each));
	}
	printf("%-11s %10s ", "total", cost_text(total, money));
	for (const struct store *s = stores + 1; s < stores + NSTORES; s++)
		printf(" %s %s", s->name, cost_text(bill(s, u, items), money));
	puts("\nR2 rounds up to whole GB-months and millions of requests. Prices of " PRICES_OF ": " SOURCE);
}

/* "0.015" → 15000. Below 10,000, so that no product of it leaves 64 bits. */
static int
parse_micro(const char *text, uint64_t *micro)
{
	uint64_t n = 0;
	int digits = 0, decimals = -1;

	for (; *text; text++) {
		if (*text == '.' && decimals < 0) {
			decimals = 0;
			continue;
		}
		if (*text < '0' || *text > '9' || decimals == 6 || (decimals < 0 && digits == 4))
			return -1;
		n = n * 10 + (uint64_t)(*text - '0');
		digits++;
		decimals += decimals >= 0;
	}
	for (decimals = decimals < 0 ? 0 : decimals; decimals < 6; decimals++)
		n *= 10;
	*micro = n;
	return digits ? 0 : -1;
}

static uint64_t *
find_price(const char *key, size_t n)
{
	for (struct store *s = stores; s < stores + NSTORES; s++) {
		size_t skip = strlen(s->name) + 1;

		if (strncmp(key, s->name, skip - 1) || skip >= n || key[skip - 1] != '.')
			skip = 0;
		for (int i = 0; i < NPRICES; i++)
			if ((skip || s == stores) && strlen(keys[i]) == n - skip && !strncmp(key + skip, keys[i], n - skip))
				return &s->price[i];
	}
	return NULL;
}

int
cost_price(const struct opt *o, const char *val, struct err *e)
{
	size_t n = strcspn(val, "=");
	uint64_t *price = find_price(val, n);

	(void)o;
	if (!price)
		return fail(e, ERR_USAGE, "--price %.40s: KEY is one of %s, %s, %s, %s (dollars a GB-month, a million requests), %s (GB-months), "
			"%s (million requests), or of another store: s3.%s, gcs.%s, b2.%s", val, keys[STORAGE], keys[STORAGE_IA], keys[CLASS_A],
			keys[CLASS_A_IA], keys[FREE_STORAGE], keys[FREE_CLASS_A], keys[STORAGE], keys[STORAGE], keys[STORAGE]);
	if (!val[n] || parse_micro(val + n + 1, price) < 0)
		return fail(e, ERR_USAGE, "--price %.40s: VALUE is a number below 10,000 with up to six decimals: %.*s=0.015", val, (int)n, val);
	return 0;
}
