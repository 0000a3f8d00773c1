#pragma once
/* A directory of our own, in memory where there is one, for the targets that load files. */
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include "fuzz.h"

static char disk_dir[64];

static void
disk_remove(void)
{
	char path[128];

	for (int i = 0; i < 2; i++) {
		snprintf(path, sizeof path, "%s/f%s", disk_dir, i ? "~" : "");
		unlink(path);
	}
	rmdir(disk_dir);
}

static inline const char *
disk_open(void)
{
	if (*disk_dir)
		return disk_dir;
	strcpy(disk_dir, access("/dev/shm", W_OK) ? "/tmp/r2-fuzz.XXXXXX" : "/dev/shm/r2-fuzz.XXXXXX");
	if (!mkdtemp(disk_dir))
		abort();
	atexit(disk_remove);
	return disk_dir;
}

static inline void
disk_path(char out[128])
{
	snprintf(out, 128, "%s/f", disk_open());
}

static inline void
disk_put(const void *p, size_t n)
{
	char path[128];
	int fd;

	disk_path(path);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0 || write(fd, p, n) != (ssize_t)n)
		abort();
	close(fd);
}

/* What the file holds, up to cap bytes. */
static inline size_t
disk_get(void *p, size_t cap)
{
	char path[128];
	ssize_t n;
	int fd;

	disk_path(path);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	n = read(fd, p, cap);
	close(fd);
	return n > 0 ? (size_t)n : 0;
}
