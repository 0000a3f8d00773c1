/* Prices, worked out by hand from R2's published rules (doc/cost.md), and sizes as aws s3 ls writes them. */
#include "../applets/cost.c"
#include "../applets/json.c"
#include "../applets/size_text.c"
#include "test.h"

#define MD5 "9b2cf535f27731c974343645a3985328"

static struct cost_use use;
static struct err err;

static void
objects(unsigned n, uint64_t size, const char *class, const char *etag)
{
	struct s3_entry x = {.size = size, .storage_class = class, .etag = etag};

	while (n--)
		cost_add(&use, &x);
}

/* The bill at R2, in micro-dollars: storage, storage-ia, class-a, class-a-ia. */
static void
bill_is(uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
	const uint64_t want[] = {a, b, c, d};
	struct item items[4];

	check_int(bill(stores, &use, items), a + b + c + d);
	for (int i = 0; i < 4; i++)
		check_int(charge(stores, &items[i]), want[i]);
	use = (struct cost_use){0};
}

static uint64_t
at(const char *store)
{
	struct item items[4];

	for (const struct store *s = stores; s < stores + NSTORES; s++)
		if (!strcmp(s->name, store))
			return bill(s, &use, items);
	return 0;
}

/* 100 images; 1,000 images and 100 videos; 10,000 and 1,000: 2 MB and 35 MB each. */
static void
test_scenarios(void)
{
	objects(100, 2000000, "STANDARD", MD5);
	check_int(cost_storage(&use), 3000);
	check_int(at("s3"), 4284 + 500);      /* 200,000,000 / 2^30 x 23,000; 100 x 5 */
	check_int(at("gcs"), 3725 + 500);
	check_int(at("b2"), 0);
	bill_is(0, 0, 0, 0);

	objects(1000, 2000000, "", MD5);
	objects(100, 35000000, "", MD5);
	check_int(use.operations[0], 1100);
	check_int(cost_storage(&use), 82500);
	check_int(at("s3"), 117812 + 5500);
	bill_is(0, 0, 0, 0);                  /* 5.5 GB, 10 are free */

	objects(10000, 2000000, "STANDARD", MD5);
	objects(1000, 35000000, "STANDARD", MD5);
	check_int(cost_bytes(&use), 55000000000);
	check_int(at("s3"), 1178123 + 55000);
	check_int(at("gcs"), 1024454 + 55000);
	check_int(at("b2"), 270000);          /* 45 GB x 0.006 */
	bill_is(675000, 0, 0, 0);             /* 45 GB-months x 0.015 */
}

/* The examples of R2's own page. */
static void
test_published(void)
{
	objects(1000, 1000000000, "STANDARD", MD5);
	bill_is(14850000, 0, 0, 0);
	objects(1000, 1000000000, "STANDARD_IA", MD5);
	bill_is(0, 10000000, 0, 9000000);
	objects(100000, 100000, "STANDARD", MD5);
	bill_is(0, 0, 0, 0);
	/* "If you have used 1.1 GB-month, you will be billed for 2"; "one million and one … for two million". */
	objects(1, 11100000000, "STANDARD", MD5);
	bill_is(30000, 0, 0, 0);
	objects(1000001, 0, "STANDARD", MD5);
	bill_is(0, 0, 4500000, 0);
	objects(1000001, 0, "STANDARD_IA", MD5);
	bill_is(0, 0, 0, 18000000);
	objects(1, 10000000000, "STANDARD", MD5);
	bill_is(0, 0, 0, 0);
	objects(1, 10000000001, "STANDARD", MD5);
	bill_is(15000, 0, 0, 0);
}

static void
test_operations(void)
{
	static const struct { const char *etag; unsigned n; } rows[] = {
		{MD5, 1}, {MD5 "-1", 3}, {MD5 "-12", 14}, {MD5 "-10000", 10002}, {MD5 "-10001", 1}, {MD5 "-0", 1}, {MD5 "-", 1},
		{MD5 "-1x", 1}, {MD5 "--1", 1}, {"-3", 1}, {"", 1}, {"opaque-5", 1}, {MD5 "-99999999999999999999", 1},
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		check_int(operations(rows[i].etag), rows[i].n);
	objects(1, 5, "GLACIER", MD5);
	objects(1, 7, "ONEZONE_IA", MD5);
	objects(1, 9, "_IA", MD5);
	check_int(use.bytes[0], 14);
	check_int(use.bytes[1], 7);
	use = (struct cost_use){0};
}

static void
test_price(void)
{
	static const struct { const char *text; long long micro; } rows[] = {
		{"0", 0}, {"0.015", 15000}, {".5", 500000}, {"7.", 7000000}, {"0.000001", 1}, {"9999.999999", 9999999999}, {"0010", 10000000},
		{"", -1}, {".", -1}, {"0.0000001", -1}, {"10000", -1}, {"1e3", -1}, {"-1", -1}, {"1.2.3", -1}, {" 1", -1}, {"1 ", -1}, {"0x1", -1},
	};
	struct store keep[NSTORES];

	memcpy(keep, stores, sizeof keep);
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		uint64_t n = 0;

		check_int(parse_micro(rows[i].text, &n), rows[i].micro < 0 ? -1 : 0);
		if (rows[i].micro >= 0)
			check_int(n, rows[i].micro);
	}
	check_int(cost_price(NULL, "storage=0.02", &err), 0);
	check_int(cost_price(NULL, "r2.free-storage=5", &err), 0);
	check_int(cost_price(NULL, "s3.class-a-ia=1", &err), 0);
	check_int(stores[0].price[STORAGE], 20000);
	check_int(stores[1].price[STORAGE], 23000);
	check_int(stores[1].price[CLASS_A_IA], 1000000);
	objects(1, 6500000000, "", MD5);
	bill_is(40000, 0, 0, 0);
	check_int(cost_price(NULL, "free-storage=5.6", &err), 0);
	objects(1, 6500000000, "", MD5);
	bill_is(20000, 0, 0, 0);
	/* The dearest there can be, of as much as there can be, does not go round. */
	check_int(cost_price(NULL, "storage=9999.999999", &err), 0);
	check_int(cost_price(NULL, "s3.storage=9999.999999", &err), 0);
	objects(1, 1000000000999999999, "", MD5);
	check(at("r2") == (1000000001u - 5) * 9999999999u);
	check_int(at("s3") / 1000000, 9313225754536);
	use = (struct cost_use){0};
	memcpy(stores, keep, sizeof keep);
}

static void
test_unknown_price(void)
{
	static const char *const bad[] = {"", "=", "=1", "Storage=1", "storage", "storage=", "storage-=1", "stor=1", "s3.=1", "s3=1", "s4.storage=1",
		".storage=1", "r2.r2.storage=1", "storage =1"};

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		check_int(cost_price(NULL, bad[i], &err), -1);
		check_int(err.kind, ERR_USAGE);
		check(strstr(err.msg, "storage") != NULL);
	}
	cost_price(NULL, "x=1", &err);
	for (int i = 0; i < NPRICES; i++)
		check(strstr(err.msg, keys[i]) != NULL);
}

static void
test_text(void)
{
	static const struct { uint64_t n; const char *text; } money[] = {
		{0, "$0.0000"}, {49, "$0.0000"}, {50, "$0.0001"}, {14850000, "$14.8500"}, {999999, "$1.0000"}, {9999999999999, "$10000000.0000"},
	}, sizes[] = {
		{0, "0 Bytes"}, {1, "1 Byte"}, {2, "2 Bytes"}, {1023, "1023 Bytes"}, {1024, "1.0 KiB"}, {1075, "1.0 KiB"}, {1076, "1.1 KiB"},
		{1280, "1.2 KiB"}, {1792, "1.8 KiB"}, {2569011, "2.4 MiB"}, {1048063, "1023.5 KiB"}, {1048064, "1.0 MiB"}, {1048575, "1.0 MiB"},
		{1048576, "1.0 MiB"}, {1152921504606846976, "1.0 EiB"}, {18446744073709551615u, "16.0 EiB"},
	};
	char text[COST_TEXT_CAP];

	for (size_t i = 0; i < sizeof money / sizeof *money; i++)
		check_str(cost_text(money[i].n, text), money[i].text);
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
		check_str(size_text(sizes[i].n, text), sizes[i].text);
}

int
main(void)
{
	test_scenarios();
	test_published();
	test_operations();
	test_price();
	test_unknown_price();
	test_text();
	return test_end();
}
