/* Command lines: the product's own tables, and one of every kind of value. What is parsed parses the same once the operands have been moved to the
   end; sizes and ages are exact. */
#include "../../applets/applet.h"
#include "../../applets/client.h"
#include "fuzz.h"

enum { WORDS = 80 };

static const struct applet *const applets[] = {
#define APPLET(name) &name##_applet,
#include "../../applets/list.h"
#undef APPLET
};

static struct {
	int flag, choice;
	const char *string, *date;
	long number;
	uint64_t size;
	int64_t age, maybe;
	struct opt_words list;
} v;

static int
store_maybe(const struct opt *o, const char *val, struct err *e)
{
	if (!val)
		v.maybe = -1;
	return val ? opt_age(o, val, e) : 0;
}

static const struct opt kinds[] = {
	{'f', "flag", NULL, "a flag", opt_flag, &v.flag, 0, 0},
	{'s', "string", "S", "a string", opt_string, &v.string, 0, 0},
	{'n', "number", "N", "a number", opt_number, &v.number, 10, 100000},
	{'z', "size", "SIZE", "a size", opt_size, &v.size, 0, 0},
	{'a', "age", "AGE", "an age", opt_age, &v.age, 1, 100000000},
	{0, "maybe", "[AGE]", "perhaps an age", store_maybe, &v.maybe, 0, 1000000},
	{'d', "date", "DATE", "a date", opt_date, &v.date, 0, 0},
	{0, "choice", "one|two|three", "a choice", opt_choice, &v.choice, 0, 0},
	{'l', NULL, "L", "a list", opt_list, &v.list, 0, 0},
	{0, "numbers", "N", "nearly a number", opt_number, &v.number, 0, 10},
	{0},
};

static void
must_be_values(int argc, char **argv)
{
	must(v.flag == 0 || v.flag == 1);
	must(v.number >= 0 && v.number <= 100000 && v.choice >= 0 && v.choice <= 2);
	must(!v.age || (v.age >= 1000 && v.age <= INT64_C(100000000000)));
	must(v.list.n >= 0 && v.list.n <= OPT_LIST_MAX);
	for (int i = 0; i < v.list.n; i++) {
		int found = 0;

		for (int k = 1; k < argc; k++)
			found |= v.list.v[i] >= argv[k] && v.list.v[i] <= argv[k] + strlen(argv[k]);
		must(found);
	}
}

/* Every word is there once, wherever it was moved. */
static void
must_be_moved(int argc, char **before, char **after)
{
	for (int i = 0; i < argc; i++) {
		int found = 0;

		for (int k = 0; k < argc; k++)
			found += after[k] == before[i];
		must(found == 1);
	}
	must(!after[argc]);
}

static void
parse(const struct opt *const *tables, int argc, char **words, int ours)
{
	char *argv[WORDS + 2], *moved[WORDS + 2];
	struct err e = {0};
	int first, again;

	memcpy(argv, words, sizeof argv);
	memset(&v, 0, sizeof v);
	first = opt_parse(tables, argc, argv, &e);
	must_be_moved(argc, words, argv);
	if (first < 0) {
		must_be_message(&e);
		must(e.kind == ERR_USAGE);
		return;
	}
	must(first >= 1 && first <= argc);
	if (ours)
		must_be_values(argc, argv);
	/* The words behind an optional value's option have moved, so it may take another one for it. */
	for (int i = 1; ours && i < argc; i++)
		if (!strncmp(argv[i], "--m", 3))
			return;
	memcpy(moved, argv, sizeof moved);
	if (ours) {
		memset(&v, 0, sizeof v);
		again = opt_parse(tables, argc, moved, &e);
		must(again == first && !memcmp(moved, argv, sizeof argv));
	}
}

/* What an earlier input left in the applets' lists. */
static void
empty_lists(const struct opt *const *tables)
{
	for (; *tables; tables++)
		for (const struct opt *o = *tables; o->letter || o->name; o++)
			if (o->store == opt_list)
				((struct opt_words *)o->dest)->n = 0;
}

/* N digits, perhaps a fraction and a unit, without floating point. 0: nothing to say. */
static int
slow_value(const char *s, size_t *used, unsigned __int128 unit, unsigned __int128 *out)
{
	size_t whole = strspn(s, "0123456789"), i, n = 0;
	unsigned __int128 number = 0, part = 0, scale = 1;

	if (!whole || whole > 19)
		return 0;
	for (i = 0; i < whole; i++)
		number = number * 10 + (unsigned)(s[i] - '0');
	if (s[i] == '.') {
		n = strspn(s + i + 1, "0123456789");
		if (!n || n > 15)
			return 0;
		for (i++; n--; i++, scale *= 10)
			part = part * 10 + (unsigned)(s[i] - '0');
	}
	*used = i;
	*out = number * unit + part * unit / scale;
	return 1;
}

static void
values(const char *s)
{
	static const char units[] = "smhdw";
	static const int64_t ms[] = {1000, 60000, 3600000, 86400000, 604800000};
	unsigned long long bytes;
	unsigned __int128 want;
	int64_t age;
	size_t used;
	const char *u;

	if (opt_parse_size(s, &bytes) == 0) {
		static const char order[] = "KMGT";
		size_t digits = strspn(s, "0123456789."), k = digits + (s[digits] == ' ');
		unsigned shift = s[k] && strchr("kKmMgGtT", s[k]) ? 10 * (unsigned)(strchr(order, s[k] & ~0x20) - order + 1) : 0;

		if (slow_value(s, &used, (unsigned __int128)1 << shift, &want))
			must(want == bytes && used == digits);
	}
	if (opt_parse_age(s, &age) == 0) {
		size_t digits = strspn(s, "0123456789.");

		u = s[digits] ? strchr(units, s[digits]) : units;
		must(u && age >= 0);
		if (slow_value(s, &used, (unsigned)ms[u - units], &want))
			must(want == (unsigned __int128)age);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct opt *const own[] = {kinds, NULL};
	struct in in = {data, size};
	unsigned how = take_byte(&in);
	char *words[WORDS + 2] = {strdup("r2")};
	int argc = 1;

	if (size > 8192)
		return 0;
	while (in.n && argc < WORDS)
		words[argc++] = take_string(&in);
	for (int i = 1; i < argc; i++)
		values(words[i]);
	if (how & 1) {
		const struct applet *a = applets[(how >> 1) % (sizeof applets / sizeof *applets)];
		const struct opt *const tables[4] = {a->opts[0], a->opts[1] ? a->opts[1] : client_opts, a->opts[1] ? client_opts : NULL};

		empty_lists(tables);
		parse(tables, argc, words, 0);
	} else {
		parse(own, argc, words, 1);
	}
	while (argc)
		free(words[--argc]);
	return 0;
}
