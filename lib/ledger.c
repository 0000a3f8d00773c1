#include <errno.h>
#include <string.h>
#include <unistd.h>
#include "ledger_state.h"

struct ledger_file
ledger_file_of(const struct stat *st)
{
	uint64_t ctime_ns = (uint64_t)st->st_ctim.tv_sec * 1000000000 + (uint64_t)st->st_ctim.tv_nsec;

	return (struct ledger_file){(uint64_t)st->st_size, (int64_t)st->st_mtim.tv_sec * 1000000000 + st->st_mtim.tv_nsec,
		st->st_ino ^ ctime_ns * 0x9E3779B97F4A7C15u};
}

const char *
ledger_warning(const struct ledger *l)
{
	return l->warning;
}

size_t
ledger_count(const struct ledger *l)
{
	return l->index.done;
}

static struct ledger_slot *
find(const struct ledger *l, const char *rel)
{
	return ledger_index_find(&l->index, ledger_index_hash(&l->index, rel, strlen(rel)));
}

int
ledger_has(const struct ledger *l, const char *rel, const struct ledger_file *f)
{
	const struct ledger_slot *s = find(l, rel);

	return s && (s->where & 1) && s->print == ledger_print(l, f);
}

/* The record of s, from the tail or into block: 1; 0 when there is none where it should be; -1 (errno). */
static int
view(const struct ledger *l, const struct ledger_slot *s, unsigned char block[LEDGER_RECORD_MAX], struct ledger_view *v)
{
	const unsigned char *p = block;
	uint64_t at = s->where / 2;
	ssize_t n;

	if (at - l->synced < l->tail_len) {
		p = l->tail + (at - l->synced);
		n = (ssize_t)(l->tail_len - (at - l->synced));
	} else {
		do
			n = pread(l->fd, block, LEDGER_RECORD_MAX, (off_t)at);
		while (n < 0 && errno == EINTR);
	}
	return n < 0 ? -1 : ledger_record_read(p, (size_t)n, v) && v->kind != LEDGER_KIND_FORGOTTEN;
}

int
ledger_find(struct ledger *l, const char *rel, struct ledger_record *r)
{
	unsigned char block[LEDGER_RECORD_MAX];
	const struct ledger_slot *s = find(l, rel);
	struct ledger_view v;
	int found = s ? view(l, s, block, &v) : 0;

	if (found <= 0 || v.path_len != strlen(rel) || memcmp(v.path, rel, v.path_len))
		return found < 0 ? -1 : 0;
	ledger_record_take(r, &v);
	return 1;
}

void
ledger_each(struct ledger *l, void (*each)(void *arg, const char *rel, const struct ledger_record *r), void *arg)
{
	struct ledger_record r;
	unsigned char block[LEDGER_RECORD_MAX];
	char rel[PATH_MAX];
	struct ledger_view v;

	for (size_t i = 0; i < l->index.cap; i++) {
		const struct ledger_slot *s = &l->index.slots[i];

		if (!s->where || view(l, s, block, &v) <= 0)
			continue;
		memcpy(rel, v.path, v.path_len);
		rel[v.path_len] = '\0';
		ledger_record_take(&r, &v);
		each(arg, rel, &r);
	}
}

int
ledger_put(struct ledger *l, const char *rel, const struct ledger_record *r, struct err *e)
{
	struct ledger_view v;
	struct err ignored;
	size_t n;

	if (buf_grow((void **)&l->tail, &l->tail_cap, l->tail_len + LEDGER_RECORD_MAX, 1) < 0)
		return ledger_oops(l, e);
	n = ledger_record_write(l->tail + l->tail_len, rel, r);
	if (!n)
		return fail(e, ERR_LOCAL, "too long for the ledger: %s", err_show(e, rel));
	ledger_record_read(l->tail + l->tail_len, n, &v);
	if (ledger_enter(l, &v, l->synced + l->tail_len) < 0)
		return ledger_oops(l, e);
	l->tail_len += n;
	l->records++;
	/* At once, so that a kill -9 takes nothing; only a power cut can until it is synced. */
	if (!l->failing)
		ledger_write_tail(l);
	if (l->tail_len >= l->tail_max)
		l->tail_max = ledger_sync(l, &ignored) < 0 ? l->tail_len + LEDGER_TAIL_MAX : LEDGER_TAIL_MAX;
	return 0;
}

int
ledger_forget(struct ledger *l, const char *rel, struct err *e)
{
	return find(l, rel) ? ledger_put(l, rel, NULL, e) : 0;
}
