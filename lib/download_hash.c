#include <errno.h>
#include <unistd.h>
#include "download_state.h"

enum { READ = 32 * 1024 };

int
download_read(int fd, void *p, size_t n, uint64_t off, struct err *e)
{
	char *q = p;
	ssize_t got;

	for (; n; q += got, n -= (size_t)got, off += (uint64_t)got) {
		do
			got = pread(fd, q, n, (off_t)off);
		while (got < 0 && errno == EINTR);
		if (got <= 0)
			return got ? fail_errno(e, "read") : fail(e, ERR_LOCAL, "the file became shorter while it was read");
	}
	return 0;
}

int
download_hash_file(const int *stop, int fd, uint64_t from, uint64_t len, struct download_sum *sum, struct err *e)
{
	char piece[READ];

	while (len) {
		size_t n = len < sizeof piece ? (size_t)len : sizeof piece;

		if (__atomic_load_n(stop, __ATOMIC_RELAXED))
			return fail(e, ERR_STOPPED, "stopped");
		if (download_read(fd, piece, n, from, e) < 0)
			return -1;
		download_sum_update(sum, piece, n);
		from += n;
		len -= n;
	}
	return 0;
}
