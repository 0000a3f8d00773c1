#include <errno.h>
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "sandbox.h"

/* linux/landlock.h (Linux 5.13 and later) in our own words: musl has no kernel headers, and older ones lack half of it. The numbers of the
   system calls are the same on all machines. */
#ifndef SYS_landlock_create_ruleset
#define SYS_landlock_create_ruleset 444
#define SYS_landlock_add_rule 445
#define SYS_landlock_restrict_self 446
#endif

enum { CREATE_VERSION = 1, RULE_PATH_BENEATH = 1, RULE_NET_PORT = 2, NET_BIND = 1, NET_CONNECT = 2 };

enum {
	EXECUTE = 1 << 0, WRITE_FILE = 1 << 1, READ_FILE = 1 << 2, READ_DIR = 1 << 3, REMOVE_DIR = 1 << 4, REMOVE_FILE = 1 << 5,
	MAKE_CHAR = 1 << 6, MAKE_DIR = 1 << 7, MAKE_REG = 1 << 8, MAKE_SOCK = 1 << 9, MAKE_FIFO = 1 << 10, MAKE_BLOCK = 1 << 11, MAKE_SYM = 1 << 12,
	REFER = 1 << 13, TRUNCATE = 1 << 14, IOCTL_DEV = 1 << 15,
	IN_FILE = WRITE_FILE | TRUNCATE,        /* of those below, what a file can have that is no directory */
	WRITABLE = IN_FILE | REMOVE_DIR | REMOVE_FILE | MAKE_DIR | MAKE_REG | MAKE_SOCK | REFER,
	REMOVABLE = REMOVE_FILE | MAKE_REG,     /* MAKE_REG, for a new name of the file in its directory; none can be written without WRITE_FILE */
};

struct ruleset { uint64_t fs, net; };
struct beneath { uint64_t allowed; int32_t dir; } __attribute__((packed));
struct port { uint64_t allowed, port; };

/* What Landlock of this version can forbid, but for reading. Version 6 could keep us from signals and abstract sockets outside: COMMAND gets
   our signals and systemd's socket may be such a one. */
static uint64_t
forbidden(long abi)
{
	static const unsigned char rights[] = {0, 13, 14, 15, 15, 16};   /* how many each version knows, from bit 0 on */
	const long last = sizeof rights - 1;

	return ((UINT64_C(1) << rights[abi < last ? abi : last]) - 1) & ~(uint64_t)(READ_FILE | READ_DIR);
}

static int
allow_path(int rules, const char *path, uint64_t what, struct err *e)
{
	struct beneath b = {what, -1};
	struct stat st;
	long rc;

	b.dir = open(path, O_PATH | O_CLOEXEC);
	if (b.dir < 0 && errno == ENOENT)
		return 0;         /* nothing is written there anyway */
	if (b.dir >= 0 && fstat(b.dir, &st) == 0 && !S_ISDIR(st.st_mode))
		b.allowed &= IN_FILE;
	rc = b.dir < 0 ? -1 : b.allowed ? syscall(SYS_landlock_add_rule, rules, RULE_PATH_BENEATH, &b, 0) : 0;
	if (rc < 0)
		fail_errno(e, "Landlock: %s", err_show(e, path));
	if (b.dir >= 0)
		close(b.dir);
	return rc < 0 ? -1 : 0;
}

static int
add_rules(int rules, const struct sandbox *s, const struct ruleset *forbid, struct err *e)
{
	for (int i = 0; i < SANDBOX_PATHS_MAX; i++)
		if (s->writable[i] && allow_path(rules, s->writable[i], WRITABLE & forbid->fs, e) < 0)
			return -1;
	if (s->removable && allow_path(rules, s->removable, REMOVABLE & forbid->fs, e) < 0)
		return -1;
	for (size_t i = 0; i < sizeof s->ports / sizeof *s->ports; i++) {
		struct port p = {NET_CONNECT, s->ports[i]};

		if (forbid->net && p.port && syscall(SYS_landlock_add_rule, rules, RULE_NET_PORT, &p, 0) < 0)
			return fail_errno(e, "Landlock: port %u", (unsigned)p.port);
	}
	return 0;
}

int
sandbox_enter(const struct sandbox *s, struct err *e)
{
	struct ruleset forbid = {0};
	long abi;
	int rules, rc;

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return fail_errno(e, "no new privileges");
	abi = syscall(SYS_landlock_create_ruleset, NULL, 0, CREATE_VERSION);
	if (abi <= 0) {
		/* ENOSYS, EOPNOTSUPP; a container's seccomp filter has errors of its own. */
		fail_errno(e, "this kernel has no Landlock");
		return 0;
	}
	forbid.fs = forbidden(abi);
	for (size_t i = 0; i < sizeof s->ports / sizeof *s->ports; i++)
		if (s->ports[i] && abi >= 4)
			forbid.net = NET_BIND | NET_CONNECT;
	rules = (int)syscall(SYS_landlock_create_ruleset, &forbid, sizeof forbid, 0);
	if (rules < 0)
		return fail_errno(e, "Landlock");
	rc = add_rules(rules, s, &forbid, e);
	if (rc == 0 && syscall(SYS_landlock_restrict_self, rules, 0) < 0)
		rc = fail_errno(e, "Landlock");
	close(rules);
	return rc < 0 ? -1 : 1;
}
