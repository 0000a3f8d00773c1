/* mktables cures|options: the tables of doc/troubleshooting.md, or those of doc/options.md, on standard output: what the program's
   messages and its help are made of, so that page and program agree. */
#include "../lib/tls_explain.c"   /* NOLINT(bugprone-suspicious-include): its table is nobody else's business */
#define main r2_main
int r2_main(int argc, char **argv);
#include "../applets/main.c"      /* NOLINT(bugprone-suspicious-include): as above */
#undef main
#include <stdlib.h>
#include "s3_error.h"

/* A cell: what could end it or the table is written in another way. */
static void
cell(const char *s, size_t n)
{
	for (; n; n--, s++)
		fputs(*s == '|' ? "\\|" : *s == '<' ? "&lt;" : (char[]){*s, '\0'}, stdout);
}

static void
row(const char *cause, size_t n, const char *cure)
{
	cell(cause, n);
	fputs(" | ", stdout);
	cell(cure, strlen(cure));
	puts(" |");
}

static int
by_code(const void *a, const void *b)
{
	return strcmp(((const struct s3_cure *)a)->code, ((const struct s3_cure *)b)->code);
}

static void
cures(void)
{
	struct s3_cure c, rows[100];
	size_t n = 0;

	for (const char *at = NULL; (at = s3_cure_next(at, &c));)
		rows[n++] = c;
	qsort(rows, n, sizeof *rows, by_code);
	puts("| code | cause | what to do |\n|---|---|---|");
	for (size_t i = 0; i < n; i++) {
		printf("| `%s` | ", rows[i].code);
		row(rows[i].cause, strlen(rows[i].cause), rows[i].cure);
	}
	puts("\n## TLS\n\nSuch a message begins with `tls: HOST:`.\n\n| cause | what to do |\n|---|---|");
	for (const char *text = meanings; *text; text += strlen(text) + 1) {
		const char *colon;

		text += strlen(text) + 1;
		if (!*text)
			continue;
		colon = strchr(text, ':');
		fputs("| ", stdout);
		row(text, strcspn(text, ":"), colon ? colon + 2 : "");
	}
}

static void
options(const struct opt *rows)
{
	for (; rows && (rows->letter || rows->name); rows++) {
		fputs("| `", stdout);
		if (rows->letter)
			printf("-%c%s", rows->letter, rows->name ? ", " : "");
		if (rows->name)
			printf("--%s", rows->name);
		if (rows->arg) {
			putchar(' ');
			cell(rows->arg, strlen(rows->arg));
		}
		fputs("` | ", stdout);
		cell(rows->help, strlen(rows->help));
		puts(" |");
	}
}

static void
section(const char *title, const char *summary, const struct opt *a, const struct opt *b)
{
	printf("\n## %s\n\n%s.\n\n| option | |\n|---|---|\n", title, summary);
	options(a);
	options(b);
}

static void
all_options(void)
{
	section("r2", "The program itself, before a command", own_opts, NULL);
	for (const struct applet *const *a = applets; *a; a++) {
		char title[80];

		snprintf(title, sizeof title, "r2 %s %s", (*a)->name, (*a)->operands);
		section(title, (*a)->summary, (*a)->opts[0], (*a)->opts[1]);
	}
	section("Every command", "Where the store is, how much is said, how long is tried", client_opts, NULL);
}

int
main(int argc, char **argv)
{
	if (argc == 2 && !strcmp(argv[1], "cures"))
		cures();
	else if (argc == 2 && !strcmp(argv[1], "options"))
		all_options();
	else
		return 2;
	return fflush(stdout) != 0;
}
