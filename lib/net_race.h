#pragma once
/* The part of net that finds a host's addresses and connects to the first that answers; for net.c alone. */
#include <poll.h>
#include <stddef.h>
#include <stdint.h>
#include "clock.h"
#include "err.h"

/* Who is dialled; for messages, "proxy " or "" before the host, and the setting to look at. */
struct net_peer {
	const char *kind, *host, *setting;
	uint16_t port;
	const int *stop;   /* may be NULL */
};

enum { NET_STOP_LOOK_MS = 200 };   /* how often a wait looks at it */
int net_stopped(const int *stop);

/* A connected, non-blocking, close-on-exec socket, its address as text; or -1 (ERR_NAME, ERR_CONNECT, ERR_STOPPED).
   The resolver's own limits (resolv.conf's timeout and attempts) bound the look-up of a name, however late: timeout_ms begins behind it. */
int net_race(const struct net_peer *p, int timeout_ms, char *text, size_t cap, struct err *e);

/* poll(2) up to that time, whatever signals arrive. */
int net_poll_until(struct pollfd *p, nfds_t n, int64_t deadline_ms);
