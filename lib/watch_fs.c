#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <sys/vfs.h>
#include "buf.h"
#include "enc.h"
#include "watch_state.h"

enum {
	SHOWN_CAP = 800,   /* a path in a note, which has room for its reason behind it */
	NOTE_CAP = 1100,
	LEASED_BY_SERVER = 3,   /* of the file systems below the first ones, where a lease is a delegation or an oplock */
};

/* Source: statfs(2) and linux/magic.h. FUSE stands for sshfs, s3fs, MooseFS and virtiofs too; what is local among its file systems is
   polled without need. */
static const uint32_t remote[] = {
	0x6969,       /* NFS */
	0xFF534D42, 0xFE534D42,   /* CIFS, SMB2 */
	[LEASED_BY_SERVER] = 0x01021997,   /* 9p */
	0x65735546,   /* FUSE */
	0x00C36400,   /* Ceph */
	0x0BD00BD0,   /* Lustre */
	0x786F4256,   /* VirtualBox */
	0xBACBACBC,   /* VMware */
	0x7C7C6673,   /* Parallels */
	0x5346414F, 0x6B414653,   /* AFS */
	0x73757245,   /* Coda */
	0x47504653,   /* GPFS */
	0xAAD7AAEA,   /* PanFS */
	0x19830326,   /* BeeGFS */
	0x7461636F,   /* OCFS2 */
	0x01161970,   /* GFS2 */
};

int
watch_remote(int fd)
{
	struct statfs s;

	if (fstatfs(fd, &s) == 0)
		for (size_t i = 0; i < sizeof remote / sizeof *remote; i++)
			if ((uint32_t)s.f_type == remote[i])
				return i < LEASED_BY_SERVER ? 2 : 1;
	return 0;
}

void
watch_say(struct watch *w, const char *path, const char *fmt, ...)
{
	char text[NOTE_CAP], shown[SHOWN_CAP];
	struct buf b = BUF(text);
	va_list ap;

	if (path) {
		buf_str(&b, enc_show_in(shown, sizeof shown, path));
		buf_str(&b, ": ");
	}
	va_start(ap, fmt);
	buf_vfmt(&b, fmt, ap);
	va_end(ap);
	buf_ellipsis(&b);
	if (w->o.note)
		w->o.note(w->o.arg, text);
}

/* Where the server has not given it, nobody need be writing: NFSv4 since Linux 5.14 says EAGAIN then, and so does CIFS. */
int
watch_lease(int fd)
{
	if (fcntl(fd, F_SETLEASE, F_RDLCK) == 0)
		return 0;
	return errno == EAGAIN && watch_remote(fd) < 2 ? 1 : -1;
}

/* The lease is given back at once: a writer's open(2) waits while it is held. */
int
watch_busy(int fd)
{
	int busy = watch_lease(fd);

	if (!busy)
		fcntl(fd, F_SETLEASE, F_UNLCK);
	return busy;
}
