/* The tables of doc/troubleshooting.md on standard output: what the program's messages are made of, so that page and program agree. */
#include "../lib/tls_explain.c"   /* NOLINT(bugprone-suspicious-include): its table is nobody else's business */
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

int
main(void)
{
	struct s3_cure c;

	puts("| code | cause | what to do |\n|---|---|---|");
	for (const char *at = NULL; (at = s3_cure_next(at, &c));) {
		printf("| `%s` | ", c.code);
		row(c.cause, strlen(c.cause), c.cure);
	}
	puts("\n## TLS\n\nSuch a message begins with `tls: HOST:`.\n\n| cause | what to do |\n|---|---|");
	for (size_t i = 0; i < sizeof meanings / sizeof *meanings; i++) {
		const char *text = meanings[i].text, *colon = strchr(text, ':');

		fputs("| ", stdout);
		row(text, strcspn(text, ":"), colon ? colon + 2 : "");
	}
	return fflush(stdout) != 0;
}
