#include <stdio.h>
#include "applet.h"
#include "client.h"

char **applet_command;

void
applet_help(const struct applet *a, FILE *out)
{
	fprintf(out, "usage: r2 %s [OPTION]... %s\n%s\n\n", a->name, a->operands, a->summary);
	opt_print(a->opts[0], out);
	if (a->opts[1])
		opt_print(a->opts[1], out);
	fputs("\nOptions of every command:\n", out);
	opt_print(client_opts, out);
	if (a->notes)
		fprintf(out, "\n%s", a->notes);
}
