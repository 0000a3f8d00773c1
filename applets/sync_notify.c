#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "sync_report.h"

static int fd = -1;
static struct sockaddr_un to = {.sun_family = AF_UNIX};
static socklen_t to_len;

void
notify_open(void)
{
	const char *path = getenv("NOTIFY_SOCKET");
	size_t n = path ? strlen(path) : 0;

	if ((n && *path != '/' && *path != '@') || n < 2 || n >= sizeof to.sun_path)
		return;
	memcpy(to.sun_path, path, n);
	if (*path == '@')
		to.sun_path[0] = '\0';
	to_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n);
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

void
notify_send(const char *text)
{
	if (fd >= 0)
		sendto(fd, text, strlen(text), MSG_NOSIGNAL, (const struct sockaddr *)&to, to_len);
}

int
notify_watchdog_ms(void)
{
	const char *usec = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");
	long long us = usec ? strtoll(usec, NULL, 10) : 0;

	if (fd < 0 || us < 2000 || (pid && strtol(pid, NULL, 10) != getpid()))
		return -1;
	/* Half of it, as sd_watchdog_enabled(3) advises. */
	return (int)(us / 2000 > 3600000 ? 3600000 : us / 2000);
}
