/* mkman DIR NAME: the manual page DIR/NAME.mdoc on standard output, lines that begin with "@" replaced by what the program's own
   tables say:
     @head           title, name and synopsis of NAME, which is "r2" or an applet
     @options        NAME's options
     @common         the options of every applet
     @commands       the applets
     @include FILE   DIR/FILE, as it is */
#define main r2_main
int r2_main(int argc, char **argv);
#include "../applets/main.c"   /* NOLINT(bugprone-suspicious-include): its tables are nobody else's business */
#undef main
#include <stdlib.h>

static const char *dir;
static const struct applet *applet;   /* NULL: r2 itself */

/* A sentence in lines that mandoc likes, taken by troff for nothing but text. */
static void
text(const char *s)
{
	size_t at = 0;

	while (*s) {
		size_t n = strcspn(s, " ");

		if (at)
			putchar(at + n > 75 ? '\n' : ' ');
		at = at + n > 75 ? 0 : at;
		if (!at && (*s == '.' || *s == '\''))
			fputs("\\&", stdout);
		for (at += n + 1; n; n--, s++)
			fputs(*s == '\\' ? "\\e" : (char[]){*s, '\0'}, stdout);
		s += strspn(s, " ");
	}
}

/* Words behind a macro; one that could be a macro itself is made text. */
static void
words(const char *macro, const char *s)
{
	while (*s) {
		size_t n = strcspn(s, " ");

		printf(" %s%s%.*s", macro, n == 2 ? "\\&" : "", (int)n, s);
		s += n + strspn(s + n, " ");
		macro = "";
	}
}

static void
head(void)
{
	char title[64];

	snprintf(title, sizeof title, "%s%s", applet ? "r2-" : "r2", applet ? applet->name : "");
	fputs(".Dt ", stdout);
	for (const char *p = title; *p; p++)
		putchar(*p >= 'a' && *p <= 'z' ? *p - 32 : *p);
	printf(" 1\n.Os\n.Sh NAME\n.Nm %s\n.Nd ", title);
	text(applet ? applet->summary : "bring files to Cloudflare R2 and other S3 stores, and back");
	printf("\n.Sh SYNOPSIS\n.Nm r2");
	if (applet)
		words("Cm ", applet->name);
	else
		fputs(" Ar command", stdout);
	fputs(" Oo Ar option ... Oc", stdout);
	words("Ar ", applet ? applet->operands : "[arg] ...");
	putchar('\n');
}

static void
options(const struct opt *rows)
{
	for (; rows && (rows->letter || rows->name); rows++) {
		fputs(".It", stdout);
		if (rows->letter)
			printf(" Fl %c%s", rows->letter, rows->name ? " ," : "");
		if (rows->name)
			printf(" Fl -%s", rows->name);
		words("Ar ", rows->arg ? rows->arg : "");
		putchar('\n');
		text(rows->help);
		puts(strchr(".?", rows->help[strlen(rows->help) - 1]) ? "" : ".");
	}
}

static void
option_list(const struct opt *a, const struct opt *b)
{
	puts(".Bl -tag -width Ds");
	options(a);
	options(b);
	puts(".El");
}

static void
commands(void)
{
	puts(".Bl -tag -width Ds");
	for (const struct applet *const *a = applets; *a; a++) {
		printf(".It Cm %s\n", (*a)->name);
		text((*a)->summary);
		printf(".\nSee\n.Xr r2-%s 1 .\n", (*a)->name);
	}
	puts(".El");
}

static void page(const char *name);

static void
line(const char *s)
{
	if (*s != '@')
		fputs(s, stdout);
	else if (!strcmp(s, "@head\n"))
		head();
	else if (!strcmp(s, "@options\n"))
		option_list(applet ? applet->opts[0] : own_opts, applet ? applet->opts[1] : NULL);
	else if (!strcmp(s, "@common\n"))
		option_list(client_opts, NULL);
	else if (!strcmp(s, "@commands\n"))
		commands();
	else if (!strncmp(s, "@include ", 9))
		page(s + 9);
	else
		exit((fprintf(stderr, "mkman: %s", s), 1));
}

static void
page(const char *name)
{
	char path[1024], s[1024];
	FILE *f;

	snprintf(path, sizeof path, "%s/%.*s", dir, (int)strcspn(name, "\n"), name);
	f = fopen(path, "r");
	if (!f)
		exit((perror(path), 1));
	while (fgets(s, sizeof s, f))
		line(s);
	fclose(f);
}

int
main(int argc, char **argv)
{
	char name[64];

	if (argc != 3)
		return 2;
	dir = argv[1];
	applet = find(argv[2]);
	if (!applet && strcmp(argv[2], "r2"))
		return unknown(argv[2]);
	snprintf(name, sizeof name, "%s.mdoc", argv[2]);
	page(name);
	return fflush(stdout) != 0;
}
