#pragma once
/* A TCP connection: resolved, raced, through a proxy if there is one, with deadlines on everything.
   The descriptor is non-blocking and close-on-exec; nothing here raises SIGPIPE; EINTR is handled. */
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include "err.h"

enum { NET_HOST_CAP = 256 };

/* An HTTP proxy that answers CONNECT (RFC 9110 section 9.3.6). Port 0: no proxy. */
struct net_proxy {
	char host[NET_HOST_CAP];
	uint16_t port;
	char auth[512];     /* value of Proxy-Authorization, a secret; "" for none */
};

struct net {
	int fd;             /* -1 when closed. {.fd = -1} is a net that was never opened */
	int timeout_ms;     /* without progress for this long: ERR_NET */
	int64_t until_ms;   /* net_limit's */
	char peer[80];      /* "203.0.113.7:443", for messages */
	int more;           /* not 0: what is sent now is soon followed by more, so that it may wait for that (MSG_MORE) */
	int expected;       /* net_expect's */
	const int *stop;    /* may be NULL, is set before net_dial: not 0 ends every wait, a little later, with ERR_STOPPED */
};

/* Resolve host (names "localhost" and "*.localhost" are loopback without asking, RFC 6761; an address in
   brackets or without is taken as it is), race its addresses IPv6 first, 250 ms apart (RFC 8305 section 5),
   and, with a proxy, ask that for host:port with CONNECT. timeout_ms bounds the connecting, the proxy's answer and later each wait.
   0; or -1 with ERR_NAME or ERR_CONNECT and each address with its own reason in the message. */
int net_dial(struct net *n, const char *host, uint16_t port, const struct net_proxy *proxy,
	int timeout_ms, struct err *e);

/* One recv(2) or send(2). Bytes moved; 0 from net_recv is the peer's FIN; NET_AGAIN when it would block;
   -1 with ERR_NET. */
enum { NET_AGAIN = -2 };
ssize_t net_recv(struct net *n, void *buf, size_t len, struct err *e);
ssize_t net_send(struct net *n, const void *buf, size_t len, struct err *e);

/* Wait until one of the wanted directions (NET_IN | NET_OUT) is ready; returns those that are (an error or
   hang-up counts as NET_IN), or -1 (ERR_NET) after timeout_ms without any, in which the peer took nothing of what had been sent either. */
enum { NET_IN = 1, NET_OUT = 2 };
int net_wait(struct net *n, int want, struct err *e);
/* From now on fewer than so many bytes are nothing to read for net_wait and net_poll (SO_RCVLOWAT): fewer awakenings where a lot is on its way.
   The end is told at once; to net_wait also what comes without company, NET_STOP_LOOK_MS late, and then 1 is expected again. */
void net_expect(struct net *n, int bytes);
/* on: from now on all waits together may take timeout_ms, however little each of them brings, from the end of the sending on; else each of
   them again. */
void net_limit(struct net *n, int on);
/* As net_wait with another limit; 0 when that passes without anything. */
int net_poll(struct net *n, int want, int ms);

/* Host without its brackets or its trailing dot into out: 0, or -1 when it is empty or too long. */
int net_host_bare(const char *host, char out[NET_HOST_CAP]);

/* Accepts what was never opened, or is closed already. */
void net_close(struct net *n);

/* "http://[user:pass@]host:port" into *p: 0, or -1 (ERR_USAGE) without quoting the password. "" is no proxy.
   A missing port is refused: curl would take 1080, others 80. */
int net_proxy_parse(const char *url, struct net_proxy *p, struct err *e);
/* 1 when NO_PROXY's list exempts host: "*", exact names, ".suffix" or "suffix" for subdomains, addresses,
   address/bits, optional :port. As curl reads it. */
int net_no_proxy(const char *list, const char *host, uint16_t port);
/* 1 for localhost, *.localhost, 127.0.0.0/8, ::1 (brackets allowed). */
int net_is_loopback(const char *host);
