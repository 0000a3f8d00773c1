#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/stat.h>
#include <unistd.h>
#include "enc.h"
#include "links.h"

static int
is_same(const char *path, const char *other)
{
	struct stat a, b;

	return stat(path, &a) == 0 && stat(other, &b) == 0 && a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

/* Within one directory the link is relative, so that the directory can be moved or copied into an image. */
static const char *
link_text(const char *dir, char *self)
{
	char *slash = strrchr(self, '/');
	int same;

	*slash = '\0';
	same = is_same(*self ? self : "/", dir);
	*slash = '/';
	return same ? slash + 1 : self;
}

/* The file this program was started from. Without /proc (an image being built) the path that the kernel ran. */
static int
own_path(char self[PATH_MAX])
{
	ssize_t n = readlink("/proc/self/exe", self, PATH_MAX - 1);

	if (n <= 0)
		return realpath((const char *)getauxval(AT_EXECFN), self) != NULL;
	self[n] = '\0';
	return 1;
}

static int
make(const char *path, const char *self, const char *text, int hard)
{
	char shown[ENC_SHOW_CAP];

	if (is_same(path, self))
		return 0;
	if ((hard ? link(self, path) : symlink(text, path)) == 0)
		return 0;
	fprintf(stderr, "r2: %s: %s\n", enc_show_in(shown, sizeof shown, path), errno == EEXIST ? "there already and no link to this r2: left alone"
		: strerror(errno));
	return 1;
}

int
links_make(const char *dir, const struct applet *const *applets, int hard)
{
	char self[PATH_MAX], path[PATH_MAX];
	const char *text;
	int rc = 0;

	if (!own_path(self)) {
		fputs("r2: --install: cannot tell where this program is: mount /proc, or call it by its whole path\n", stderr);
		return 1;
	}
	text = link_text(dir, self);
	for (; *applets; applets++) {
		if (snprintf(path, sizeof path, "%s/r2-%s", dir, (*applets)->name) >= (int)sizeof path) {
			fputs("r2: --install: the directory's name is too long\n", stderr);
			return 1;
		}
		rc |= make(path, self, text, hard);
	}
	return rc;
}
