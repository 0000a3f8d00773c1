/* Pick the applet named by argv[0] or argv[1], parse its options, run it, report. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "applet.h"
#include "client.h"
#include "completion.h"
#include "enc.h"
#include "licenses.h"
#include "links.h"
#include "log.h"
#include "path.h"
#include "tls.h"

static const struct applet *const applets[] = {
#define APPLET(name) &name##_applet,
#include "list.h"
#undef APPLET
	NULL,
};

/* For the help, completion and manual: top() knows what they do. */
enum own { VERSION, LIST, INSTALL, COMPLETION, LICENSES, HELP, NONE };
static const struct opt own_opts[] = {
	[VERSION] = {.name = "version", .help = "program, BearSSL, libc, machine, date of the built-in roots"},
	[LIST] = {.name = "list", .help = "the names that links to r2 may have"},
	[INSTALL] = {.name = "install", .arg = "[--hard] DIR", .help = "make these links in DIR"},
	[COMPLETION] = {.name = "completion", .arg = "bash|zsh|fish", .help = "a script for that shell, to be sourced"},
	[LICENSES] = {.name = "licenses", .help = "what r2 is made of, and under which terms"},
	[HELP] = {.name = "help", .help = "this text; r2 COMMAND --help: its options"},
	[NONE] = {0},
};

static const struct applet *
find(const char *name)
{
	for (const struct applet *const *a = applets; *a; a++)
		if (!strcmp((*a)->name, name))
			return *a;
	return NULL;
}

static int
unknown(const char *name)
{
	const char *near, *known[sizeof own_opts / sizeof *own_opts + sizeof applets / sizeof *applets] = {0};
	int is_option = *name == '-';
	char shown[128];

	for (size_t i = 0; is_option ? own_opts[i].name != NULL : applets[i] != NULL; i++)
		known[i] = is_option ? own_opts[i].name : applets[i]->name;
	near = opt_nearest(name + strspn(name, "-"), known);
	enc_show_in(shown, sizeof shown, name);
	fprintf(stderr, is_option ? "r2: unknown option %s: " : "r2: no command '%s': ", shown);
	if (near)
		fprintf(stderr, "did you mean %s%s?\n", is_option ? "--" : "", near);
	else
		fputs(is_option ? "a command's stand after it: see r2 --help\n" : "see r2 --help\n", stderr);
	return 2;
}

static void
overview(FILE *out)
{
	fputs("usage: r2 COMMAND [OPTION]... [ARG]...\n"
		"Cloudflare R2 and other S3 stores from one static program.\n\n", out);
	for (const struct applet *const *a = applets; *a; a++)
		fprintf(out, "  %-10s %s\n", (*a)->name, (*a)->summary);
	putc('\n', out);
	opt_print(own_opts, out);
}

/* What was printed has arrived. A reader that left early (r2 ls | head) is no error worth a message. */
static int
flush_stdout(int rc)
{
	struct pollfd out = {.fd = STDOUT_FILENO};

	errno = 0;
	if (fflush(stdout) == 0 && !ferror(stdout))
		return rc;
	/* What failed earlier, perhaps in a worker, has left no errno. */
	if (!errno && poll(&out, 1, 0) > 0)
		errno = (out.revents & POLLNVAL) ? EBADF : (out.revents & POLLERR) ? EPIPE : 0;
	if (errno != EPIPE)
		fprintf(stderr, "r2: standard output: %s\n", errno ? strerror(errno) : "not everything could be written");
	return rc ? rc : 1;
}

static int
version(void)
{
	printf("r2 %s\n%s, %s, %s, roots of %s\n", R2_VERSION, tls_library(), R2_LIBC, R2_ARCH, tls_roots_date());
	return 0;
}

static int
report(const struct applet *a, const struct err *e)
{
	char text[2 * sizeof e->msg];

	if (a->how & APPLET_LOGS && e->kind != ERR_USAGE)
		log_r2(LOG_ERROR, "%s", e->msg);
	else
		fprintf(stderr, "r2 %s: %s\n", a->name, enc_show_in(text, sizeof text, e->msg));
	return e->kind == ERR_USAGE ? 2 : 1;
}

/* Cut the command behind "--" off, before getopt moves words: what is left has this many. */
static int
cut_command(const struct applet *a, int argc, char **argv)
{
	for (int i = 1; a->how & APPLET_COMMAND && i < argc; i++)
		if (!strcmp(argv[i], "--")) {
			applet_command = argv + i + 1;
			argv[i] = NULL;
			return i;
		}
	return argc;
}

static int
run(const struct applet *a, int argc, char **argv)
{
	const struct opt *tables[4] = {a->opts[0]};
	struct err e = {0};
	int first, rc;

	tables[1] = a->opts[1] ? a->opts[1] : client_opts;
	tables[2] = a->opts[1] ? client_opts : NULL;
	argc = cut_command(a, argc, argv);
	first = opt_parse(tables, argc, argv, &e);
	if (first >= 0 && client_args.help) {
		applet_help(a, stdout);
		return 0;
	}
	rc = first < 0 ? -1 : a->run(argc - first, argv + first, &e);
	return rc < 0 ? report(a, &e) : rc;
}

static int
help(const char *name)
{
	const struct applet *a = name ? find(name) : NULL;

	if (name && !a)
		return unknown(name);
	if (a)
		applet_help(a, stdout);
	else
		overview(stdout);
	return 0;
}

static int
list(void)
{
	for (const struct applet *const *a = applets; *a; a++)
		printf("r2-%s\n", (*a)->name);
	return 0;
}

static int
is_hard(const char *word)
{
	size_t n = strlen(word);

	return n > 2 && !strncmp("--hard", word, n);
}

static int
install(int argc, char **argv)
{
	int behind = argc == 2 && is_hard(argv[1]), hard = behind || (argc > 0 && is_hard(argv[0]));

	if (argc != hard + 1 || !*argv[hard && !behind]) {
		fputs("r2: --install [--hard] DIR: the directory for the links is missing\n", stderr);
		return 2;
	}
	return links_make(argv[hard && !behind], applets, hard);
}

/* A descriptor 0, 1 or 2 that was closed would be taken by the next file or socket, and then written to by
   mistake. An O_PATH descriptor takes its place: reading and writing it fail, as they should. For whom we start it is closed as before. */
static void
guard_stdio(void)
{
	int fd;

	do
		fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	while (fd >= 0 && fd <= 2);
	if (fd > 2)
		close(fd);
}

/* The one option that word is or abbreviates, as with commands; NONE, or several. */
static enum own
own_option(const char *word)
{
	enum own found = NONE;
	size_t n = strlen(word);

	if (n < 3 || strncmp(word, "--", 2))
		return NONE;
	for (enum own o = VERSION; o < NONE; o++) {
		if (strncmp(own_opts[o].name, word + 2, n - 2))
			continue;
		if (found != NONE)
			return NONE;
		found = o;
	}
	return found;
}

static int
top(int argc, char **argv)
{
	switch (strcmp(argv[1], "help") ? own_option(argv[1]) : HELP) {
	case VERSION: return version();
	case LIST: return list();
	case INSTALL: return install(argc - 2, argv + 2);
	case COMPLETION: return completion(applets, own_opts, argc - 2, argv + 2);
	case LICENSES: return licenses();
	case HELP: return help(argc > 2 ? argv[2] : NULL);
	default: return unknown(argv[1]);
	}
}

static int
start(int argc, char **argv)
{
	const char *name = path_base(argc > 0 ? argv[0] : "r2");
	const struct applet *a;

	if (!strncmp(name, "r2-", 3) && (a = find(name + 3)))
		return run(a, argc, argv);
	if (argc < 2) {
		overview(stderr);
		return 2;
	}
	if ((a = find(argv[1])))
		return run(a, argc - 1, argv + 1);
	return top(argc, argv);
}

int
main(int argc, char **argv)
{
	guard_stdio();
	/* What its owner may not do would be there for us once, and then never again. */
	umask(umask(077) & 077);
	return flush_stdout(start(argc, argv));
}
