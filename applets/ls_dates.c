#include <stdio.h>
#include <string.h>
#include "json.h"
#include "ls.h"
#include "utc.h"

enum {
	DAYS_MAX = 1024,   /* rows that wait for the longest bar among them, on a terminal */
	BAR = 24,
};

static struct day {
	char name[UTC_DATE_CAP];
	struct cost_use use;
} days[DAYS_MAX], other = {.name = "other"};
static size_t ndays;

static void
print_day(const char *name, const struct cost_use *u, uint64_t longest)
{
	char size[24], money[COST_TEXT_CAP];
	uint64_t bytes = cost_bytes(u);
	struct json j;

	if (client_args.json) {
		json_begin(&j);
		json_string(&j, "date", name);
		json_number(&j, "files", u->objects);
		json_number(&j, "bytes", bytes);
		if (ls.cost)
			json_number(&j, "storage_micro_usd", cost_storage(u));
		json_end(&j);
		return;
	}
	printf("%-10s %10llu %14s", name, (unsigned long long)u->objects, ls_size(bytes, size));
	if (ls.cost)
		printf(" %10s", cost_text(cost_storage(u), money));
	if (longest)
		printf("  %.*s", (int)(bytes / (longest / BAR + 1)), "########################");
	putc('\n', stdout);
}

static void
print_days(void)
{
	uint64_t longest = 0;

	for (size_t i = 0; ls.terminal && i < ndays; i++)
		if (cost_bytes(&days[i].use) > longest)
			longest = cost_bytes(&days[i].use);
	for (size_t i = 0; i < ndays; i++)
		print_day(days[i].name, &days[i].use, longest);
	ndays = 0;
}

/* Keys come in order, so a day's are together. */
int
ls_day(const struct s3_entry *x, struct err *e)
{
	const char *name = x->key + ls.base;
	struct day *d = &other;
	char date[UTC_DATE_CAP];

	(void)e;
	if (ndays && !strncmp(name, days[ndays - 1].name, UTC_DATE_CAP - 1) && name[UTC_DATE_CAP - 1] == '/') {
		d = &days[ndays - 1];
	} else if (utc_parse_folder(name, date) == 0) {
		if (ndays == (ls.terminal ? DAYS_MAX : 1))
			print_days();
		d = &days[ndays++];
		d->use = (struct cost_use){0};
		memcpy(d->name, date, sizeof date);
	}
	cost_add(&d->use, x);
	return 0;
}

void
ls_days_end(void)
{
	print_days();
	if (other.use.objects)
		print_day(other.name, &other.use, 0);
	print_day("total", &ls.all, 0);
}
