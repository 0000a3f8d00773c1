/* far RTT_MS MBIT CUT_PER_MILLE 127.0.0.1:PORT: a server far away. Relays another port of loopback (printed) to that one as a line of that round
 * trip time and rate would: what is sent waits for its turn on the line, which all connections of a direction share, and then half
 * a round trip. A connection begins with the round trip of its handshake, has as much under way as a window that begins at ten
 * segments and grows by what is acknowledged up to 3 MB (a Linux host as it comes), and one in CUT_PER_MILLE thousandths is cut off
 * somewhere in its first megabyte. No packet is lost otherwise. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { PAIRS = 256, PIECES = 4096, PIECE = 16384, WINDOW = 3 << 20, FIRST_WINDOW = 10 * 1460 };

/* What has been read from one side and not been acknowledged yet. */
struct piece {
	int64_t due;                 /* microseconds: it arrives at the other side then */
	size_t len, sent;
	unsigned char *data;         /* NULL: the end; or what was sent: it waits for its acknowledgement */
};

struct way {
	int in, out;
	size_t first, unsent, count; /* of pieces, a ring: those before unsent are under way back */
	size_t under_way, window;
	int64_t cut_after;           /* bytes until the cut, -1: never */
	int ended, closed;
	struct piece pieces[PIECES];
};

struct pair {
	int used;
	int64_t open_at;             /* its handshake is done then */
	struct way ways[2];          /* up, down */
};

static int64_t half_us, line_free[2];
static double us_per_byte;
static unsigned cut_per_mille;
static struct sockaddr_in target;
static struct pair *pairs[PAIRS];

static int64_t
now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000LL + t.tv_nsec / 1000;
}

static struct piece *
piece(struct way *w, size_t i)
{
	return &w->pieces[(w->first + i) % PIECES];
}

static void
end_pair(struct pair *p, int reset)
{
	struct linger hard = {.l_onoff = 1};

	for (int i = 0; i < 2; i++) {
		for (size_t k = 0; k < p->ways[i].count; k++)
			free(piece(&p->ways[i], k)->data);
		if (reset)
			setsockopt(p->ways[i].in, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
		close(p->ways[i].in);
	}
	memset(p, 0, sizeof *p);
}

/* Room in what may be under way and in the ring. */
static int
may_read(const struct way *w)
{
	return !w->ended && w->under_way < w->window && w->count < PIECES;
}

/* -1: the pair has come to its end. */
static int
take(struct pair *p, int direction, int64_t now)
{
	struct way *w = &p->ways[direction];
	struct piece *x = piece(w, w->count);
	unsigned char *data = malloc(PIECE);
	ssize_t n = data ? recv(w->in, data, PIECE, MSG_DONTWAIT) : -1;
	int64_t start = now > p->open_at ? now : p->open_at;

	if (n < 0) {
		free(data);
		return errno == EAGAIN ? 0 : -1;
	}
	if (start < line_free[direction])
		start = line_free[direction];
	line_free[direction] = start + (int64_t)((double)n * us_per_byte);
	*x = (struct piece){.due = line_free[direction] + half_us, .len = (size_t)n, .data = data};
	if (n == 0) {
		free(data);
		x->data = NULL;
		w->ended = 1;
	}
	w->count++;
	w->under_way += (size_t)n;
	if (w->cut_after >= 0 && (w->cut_after -= n) < 0)
		return -1;
	return 0;
}

/* Hand on what has arrived, as much as the receiver takes. -1: the pair has come to its end. */
static int
hand_on(struct way *w, int64_t now)
{
	while (w->unsent < w->count) {
		struct piece *x = piece(w, w->unsent);
		ssize_t n = 0;

		if (x->due > now)
			return 0;
		if (x->len == 0) {
			shutdown(w->out, SHUT_WR);
			w->closed = 1;
		} else if ((n = send(w->out, x->data + x->sent, x->len - x->sent, MSG_DONTWAIT | MSG_NOSIGNAL)) < 0) {
			return errno == EAGAIN ? 0 : -1;
		}
		x->sent += (size_t)n;
		if (x->sent < x->len)
			return 0;
		free(x->data);
		x->data = NULL;
		x->due = now + half_us;
		w->unsent++;
	}
	return 0;
}

/* What comes back opens the window. */
static void
acknowledge(struct way *w, int64_t now)
{
	while (w->unsent > 0 && piece(w, 0)->due <= now) {
		w->under_way -= piece(w, 0)->len;
		w->window += piece(w, 0)->len;
		if (w->window > WINDOW)
			w->window = WINDOW;
		w->first = (w->first + 1) % PIECES;
		w->unsent--;
		w->count--;
	}
}

static void
begin_pair(int fd, int64_t now)
{
	int up = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1, i = 0;
	struct pair *p;

	while (i < PAIRS && pairs[i] && pairs[i]->used)
		i++;
	if (i == PAIRS || (!pairs[i] && !(pairs[i] = calloc(1, sizeof *p))) || up < 0 ||
		connect(up, (struct sockaddr *)&target, sizeof target) < 0) {
		close(fd);
		close(up);
		return;
	}
	p = pairs[i];
	memset(p, 0, sizeof *p);
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	setsockopt(up, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	p->used = 1;
	p->open_at = now + 2 * half_us;
	p->ways[0] = (struct way){.in = fd, .out = up, .window = FIRST_WINDOW, .cut_after = -1};
	p->ways[1] = (struct way){.in = up, .out = fd, .window = FIRST_WINDOW, .cut_after = -1};
	if ((unsigned)rand() % 1000 < cut_per_mille)
		p->ways[rand() % 2].cut_after = rand() % (1 << 20);
}

/* When something of p is due: a time, or -1. */
static int64_t
next_due(struct pair *p, int64_t least)
{
	for (int i = 0; i < 2; i++) {
		struct way *w = &p->ways[i];

		if (w->unsent > 0 && (least < 0 || piece(w, 0)->due < least))
			least = piece(w, 0)->due;
		if (w->unsent < w->count && (least < 0 || piece(w, w->unsent)->due < least))
			least = piece(w, w->unsent)->due;
	}
	return least;
}

/* One turn of p: what is readable is read, what is due goes on. */
static void
turn(struct pair *p, const struct pollfd *f, int64_t now)
{
	int broken = 0;

	for (int i = 0; i < 2 && !broken; i++) {
		struct way *w = &p->ways[i];

		acknowledge(w, now);
		if (f[i].revents && may_read(w) && take(p, i, now) < 0)
			broken = 1;
		else if (hand_on(w, now) < 0)
			broken = 1;
	}
	if (broken || (p->ways[0].closed && p->ways[1].closed))
		end_pair(p, broken);
}

static void
relay(int listener)
{
	static struct pollfd fds[1 + 2 * PAIRS];
	static struct pair *of[PAIRS];
	struct timespec wait;

	for (;;) {
		int64_t due = -1, now;
		nfds_t n = 1;

		fds[0] = (struct pollfd){.fd = listener, .events = POLLIN};
		for (int i = 0; i < PAIRS && pairs[i]; i++) {
			if (!pairs[i]->used)
				continue;
			of[n / 2] = pairs[i];
			due = next_due(pairs[i], due);
			for (int k = 0; k < 2; k++)
				fds[n++] = (struct pollfd){.fd = may_read(&pairs[i]->ways[k]) ? pairs[i]->ways[k].in : -1, .events = POLLIN};
		}
		now = now_us();
		due = due < 0 ? 60000000 : due > now ? due - now : 200;    /* 200: it is due, but the receiver takes no more now */
		wait = (struct timespec){due / 1000000, due % 1000000 * 1000};
		ppoll(fds, n, &wait, NULL);
		now = now_us();
		for (nfds_t i = 1; i < n; i += 2)
			turn(of[i / 2], fds + i, now);
		if (fds[0].revents) {
			int fd = accept(listener, NULL, NULL);

			if (fd >= 0)
				begin_pair(fd, now);
		}
	}
}

/* A small buffer, so that a sender waits for the line and not for this program's memory. */
static int
listen_here(void)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof a;
	int fd = socket(AF_INET, SOCK_STREAM, 0), small = 64 << 10;

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small) < 0 || bind(fd, (struct sockaddr *)&a, len) < 0 ||
		listen(fd, 1024) < 0 || getsockname(fd, (struct sockaddr *)&a, &len) < 0)
		return -1;
	printf("%d\n", ntohs(a.sin_port));
	fflush(stdout);
	return fd;
}

int
main(int argc, char **argv)
{
	char *colon;
	int listener;

	signal(SIGPIPE, SIG_IGN);
	if (argc != 5 || atof(argv[2]) <= 0 || !(colon = strchr(argv[4], ':'))) {
		fputs("usage: far RTT_MS MBIT CUT_PER_MILLE 127.0.0.1:PORT\n", stderr);
		return 2;
	}
	half_us = (int64_t)(atof(argv[1]) * 500);
	us_per_byte = 8 / atof(argv[2]);
	cut_per_mille = (unsigned)atoi(argv[3]);
	*colon = 0;
	target = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(colon + 1)), .sin_addr.s_addr = inet_addr(argv[4])};
	if ((listener = listen_here()) < 0) {
		perror("far");
		return 1;
	}
	srand(1);
	relay(listener);
}
