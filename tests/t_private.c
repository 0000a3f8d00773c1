#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
#include "private.h"
#include "test.h"

static char dir[] = "/tmp/t_private.XXXXXX";
static struct err e;

/* A path below dir, in one of a few buffers. */
static const char *
below(const char *rest)
{
	static char names[4][PATH_MAX];
	static int turn;
	char *name = names[turn++ % 4];

	snprintf(name, PATH_MAX, "%s/%s", dir, rest);
	return name;
}

static int
mode_of(const char *name)
{
	struct stat st;

	return lstat(name, &st) < 0 ? -1 : (int)(st.st_mode & 07777);
}

static void
check_dir_refused(const char *name, const char *why)
{
	e = (struct err){0};
	check_int(private_dir(name, &e), -1);
	check_int(e.kind, ERR_LOCAL);
	check(strstr(e.msg, name) != NULL);
	check(strstr(e.msg, why) != NULL);
}

static void
test_dir(void)
{
	umask(0);
	check_int(private_dir(below("s"), &e), 0);
	check_int(mode_of(below("s")), 0700);
	check_int(private_dir(below("s"), &e), 0);
	check_dir_refused(below("no/s"), "No such file");
	check_int(mode_of(below("no")), -1);
	check_int(chmod(below("s"), 0770), 0);
	check_dir_refused(below("s"), "others may write");
	check_int(chmod(below("s"), 0702), 0);
	check_dir_refused(below("s"), "others may write");
	private_reclaim(below("s"));
	check_int(mode_of(below("s")), 0700);
	check_int(chmod(below("s"), 0755), 0);
	check_int(private_dir(below("s"), &e), 0);
	private_reclaim(below("s"));
	check_int(mode_of(below("s")), 0755);
	check_int(symlink("s", below("link")), 0);
	check_int(private_dir(below("link"), &e), 0);
	check_int(symlink("nowhere", below("dangling")), 0);
	check_dir_refused(below("dangling"), "No such file");
	check_int(mkdir(below("shared"), 0777), 0);
	check_int(symlink("shared", below("to-shared")), 0);
	private_reclaim(below("to-shared"));
	check_int(mode_of(below("shared")), 0777);
	close(open(below("file"), O_CREAT | O_WRONLY, 0600));
	check_dir_refused(below("file"), "Not a directory");
}

/* Root writes everywhere and owns what it likes: somebody else has to look. */
static void
test_dir_of_others(void)
{
	pid_t child;
	int status;

	if (geteuid() != 0)
		return;
	check_int(mkdir(below("other"), 0755), 0);
	check_int(chown(below("other"), 12345, (gid_t)-1), 0);
	check_dir_refused(below("other"), "another user");
	check_int(chmod(below("other"), 0777), 0);
	private_reclaim(below("other"));
	check_int(mode_of(below("other")), 0777);
	check_int(chmod(dir, 0755), 0);
	check_int(chmod(below("s"), 0755), 0);
	child = fork();
	if (child == 0) {
		int before = failures;

		check_int(setresuid(12345, 12345, 12345), 0);
		check_dir_refused(below("s"), "Permission denied");
		check_dir_refused(below("s/new"), "cannot be made: Permission denied");
		_exit(failures != before);
	}
	check_int(waitpid(child, &status, 0), child);
	check_int(status, 0);
}

static void
test_open(void)
{
	struct stat st, other;
	int a, b;

	umask(0);
	check_int(private_open(&a, below("f"), "thing", &e), 0);
	check_int(mode_of(below("f")), 0600);
	check(fcntl(a, F_GETFD) & FD_CLOEXEC);
	close(a);
	check_int(chmod(below("f"), 0662), 0);
	check_int(private_open(&a, below("f"), "thing", &e), 0);
	check_int(mode_of(below("f")), 0600);
	check_int(private_open(&b, below("f"), "thing", &e), 1);
	check_int(b, -1);
	check_int(fstat(a, &st), 0);
	check_int(private_still_named(AT_FDCWD, below("f"), &st), 1);
	check_int(rename(below("f"), below("g")), 0);
	check_int(private_still_named(AT_FDCWD, below("f"), &st), 0);
	check_int(symlink("g", below("f")), 0);
	check_int(private_still_named(AT_FDCWD, below("f"), &st), 0);
	check_int(stat(below("f"), &other), 0);
	check(other.st_ino == st.st_ino);
	check_int(private_open(&b, below("f"), "thing", &e), -1);
	check_int(b, -1);
	check(strstr(e.msg, "thing ") == e.msg && strstr(e.msg, "symbolic link") != NULL);
	close(a);
}

static void
test_sync(void)
{
	check_int(private_sync_dir(below("f")), 0);
	check_int(private_sync_dir("f"), 0);
	check_int(private_sync_dir("/f"), 0);
	errno = 0;
	check_int(private_sync_dir(below("none/f")), -1);
	check_int(errno, ENOENT);
}

int
main(void)
{
	char command[64];

	if (!mkdtemp(dir))
		return 1;
	test_dir();
	test_dir_of_others();
	test_open();
	test_sync();
	snprintf(command, sizeof command, "rm -rf %s", dir);
	return system(command) != 0 || test_end();
}
