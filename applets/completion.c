#include <stdio.h>
#include <string.h>
#include "client.h"
#include "completion.h"
#include "path.h"

/* The scripts only ask: what there is to say stands in the rows of options, and so it is never older than the program. */
static const struct shell {
	const char *name, *script;
	char between;   /* candidate and explanation, 0: no explanations */
} shells[] = {
	{"bash",
		"_r2() {\n"
		"\tlocal IFS=$'\\n'\n"
		"\tCOMPREPLY=($(r2 --completion bash \"${COMP_WORDS[@]:0:COMP_CWORD+1}\" 2>/dev/null))\n"
		"}\n"
		"complete -o bashdefault -o default -F _r2 r2 $(r2 --list)\n", 0},
	{"zsh",
		"#compdef -P r2(-*|)\n"
		"_r2() {\n"
		"\tlocal -a c=(\"${(@f)$(r2 --completion zsh \"${(@)words[1,CURRENT]}\" 2>/dev/null)}\")\n"
		"\tif [[ -n $c ]]; then _describe r2 c; else _files; fi\n"
		"}\n"
		"if [[ $funcstack[1] = _r2 ]]; then _r2; else compdef _r2 r2 $(r2 --list); fi\n", ':'},
	{"fish",
		"function __r2\n"
		"\tset -l t (commandline -ct)\n"
		"\tr2 --completion fish (commandline -opc) \"$t\" 2>/dev/null\n"
		"end\n"
		"for c in r2 (r2 --list)\n"
		"\tcomplete -c $c -n '__r2 >/dev/null' -f -a '(__r2)'\n"
		"end\n", '\t'},
};

/* One question: where the answers go to, and what they have to begin with. */
struct query {
	const struct shell *shell;
	const char *begin;
	int found;
};

static void
offer(struct query *q, const char *dashes, const char *word, const char *help)
{
	size_t n = strlen(dashes), given = strlen(q->begin);

	if (strncmp(q->begin, dashes, given < n ? given : n) || (given > n && strncmp(q->begin + n, word, given - n)))
		return;
	q->found = 1;
	printf("%s%s", dashes, word);
	if (q->shell->between)
		printf("%c%s", q->shell->between, help);
	putc('\n', stdout);
}

static void
offer_options(struct query *q, const struct opt *rows)
{
	for (; rows && rows->name; rows++)
		offer(q, "--", rows->name, rows->help);
}

/* A value: one of those the row names, "a|b|c"; not YYYY-MM-DD, which nobody wants as it stands. */
static void
offer_values(struct query *q, const struct opt *o)
{
	char word[64];

	for (const char *p = o->arg; strchr(o->arg, '|') && *p; p += strspn(p, "|")) {
		size_t n = strcspn(p, "|");

		snprintf(word, sizeof word, "%.*s", (int)n, p);
		if (*word != 'Y')
			offer(q, "", word, o->help);
		p += n;
	}
}

/* The row of "--name" or "-x" when a value has to follow, else NULL. */
static const struct opt *
wants_value(const struct opt *rows, const char *word)
{
	for (; *word == '-' && rows && rows->name; rows++)
		if (rows->arg && *rows->arg != '[' &&
			(word[1] == '-' ? !strcmp(word + 2, rows->name) : word[1] == rows->letter && word[1] && !word[2]))
			return rows;
	return NULL;
}

/* tables is NULL-terminated. */
static void
answer(struct query *q, const struct opt *const *tables, const char *before)
{
	const struct opt *o = NULL;

	for (int i = 0; tables[i] && !o; i++)
		o = wants_value(tables[i], before);
	if (o)
		offer_values(q, o);
	else
		for (int i = 0; *q->begin == '-' && tables[i]; i++)
			offer_options(q, tables[i]);
}

static const struct shell *
shell_named(const char *name)
{
	for (size_t i = 0; i < sizeof shells / sizeof *shells; i++)
		if (!strcmp(shells[i].name, name))
			return &shells[i];
	return NULL;
}

/* bash takes "=" for a word of its own: as a separator it is none. */
static int
without_equals(int n, char **words)
{
	static char empty[] = "";
	int k = 0;

	for (int i = 0; i < n; i++)
		if (strcmp(words[i], "="))
			words[k++] = words[i];
		else if (i + 1 == n)
			words[k++] = empty;
	return k;
}

/* The applet that the line is about, or NULL: r2 alone. */
static const struct applet *
applet_of(const struct applet *const *applets, int n, char **words)
{
	const char *called = path_base(words[0]);

	if (!strncmp(called, "r2-", 3))
		called += 3;
	else
		called = n > 2 ? words[1] : "";
	while (*applets && strcmp((*applets)->name, called))
		applets++;
	return *applets;
}

static void
ask(struct query *q, const struct applet *const *applets, const struct opt *own, int n, char **words)
{
	const struct applet *a = applet_of(applets, n, words);
	const char *before = n > 1 ? words[n - 2] : "";

	for (int i = 0; i < n - 1; i++)
		if (!strcmp(words[i], "--"))
			return;
	if (a) {
		answer(q, (const struct opt *const[]){a->opts[0], client_opts, a->opts[1], NULL}, before);
		return;
	}
	if (n == 2 || (n == 3 && !strcmp(before, "help")))
		for (; *applets; applets++)
			offer(q, "", (*applets)->name, (*applets)->summary);
	answer(q, (const struct opt *const[]){own, NULL}, before);
}

int
completion(const struct applet *const *applets, const struct opt *own, int argc, char **argv)
{
	struct query q = {.shell = argc ? shell_named(argv[0]) : NULL};
	int n;

	if (!q.shell) {
		fputs("r2: --completion bash|zsh|fish: the shell is missing or unknown\n", stderr);
		return 2;
	}
	n = without_equals(argc - 1, argv + 1);
	if (!n) {
		fputs(q.shell->script, stdout);
		return 0;
	}
	q.begin = argv[n];
	ask(&q, applets, own, n, argv + 1);
	return !q.found;
}
