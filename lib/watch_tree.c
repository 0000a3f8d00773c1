#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include "watch_state.h"

enum { TABLE_CAP_MIN = 16 };   /* grows to twice itself: at most one node a slot, on the average */

static size_t
mix(uint64_t x)
{
	x = (x ^ x >> 31) * 0x9E3779B97F4A7C15u;
	return (size_t)(x ^ x >> 32);
}

static size_t
hash_place(const struct node *parent, const char *name)
{
	uint64_t h = (uintptr_t)parent;

	for (; *name; name++)
		h = (h ^ (unsigned char)*name) * 0x100000001B3u;
	return mix(h);
}

static size_t
hash_id(dev_t dev, ino_t ino)
{
	return mix(ino + (uint64_t)dev * 0x100000001B3u);
}

static size_t
hash(const struct node *n, int which)
{
	if (which == BY_WD)
		return mix((uint64_t)n->wd);
	return which == BY_ID ? hash_id(n->dev, n->ino) : hash_place(n->parent, n->name);
}

static struct node **
slot(const struct table *t, size_t h)
{
	return &t->slot[h & (t->cap - 1)];
}

/* Without memory the table stays as it is, and only gets slower. */
static void
grow(struct table *t, int which)
{
	struct table old = *t;
	struct node **bigger = calloc(old.cap * 2, sizeof *bigger), *n, *next, **to;

	if (!bigger)
		return;
	t->slot = bigger;
	t->cap = old.cap * 2;
	for (size_t i = 0; i < old.cap; i++)
		for (n = old.slot[i]; n; n = next) {
			next = n->link[which];
			to = slot(t, hash(n, which));
			n->link[which] = *to;
			*to = n;
		}
	free(old.slot);
}

static void
enter(struct watch *w, struct node *n, int which)
{
	struct table *t = &w->table[which];
	struct node **to;

	if (t->n++ >= t->cap)
		grow(t, which);
	to = slot(t, hash(n, which));
	n->link[which] = *to;
	*to = n;
}

static void
leave(struct watch *w, struct node *n, int which)
{
	struct table *t = &w->table[which];
	struct node **p = slot(t, hash(n, which));

	while (*p != n)
		p = &(*p)->link[which];
	*p = n->link[which];
	t->n--;
}

struct node *
watch_by_wd(const struct watch *w, int wd)
{
	struct node *n = *slot(&w->table[BY_WD], mix((uint64_t)wd));

	while (n && n->wd != wd)
		n = n->link[BY_WD];
	return n;
}

struct node *
watch_by_id(const struct watch *w, const struct stat *st)
{
	struct node *n = *slot(&w->table[BY_ID], hash_id(st->st_dev, st->st_ino));

	while (n && (n->ino != st->st_ino || n->dev != st->st_dev))
		n = n->link[BY_ID];
	return n;
}

struct node *
watch_child(const struct watch *w, const struct node *parent, const char *name)
{
	struct node *n = *slot(&w->table[BY_PLACE], hash_place(parent, name));

	while (n && (n->parent != parent || strcmp(n->name, name) != 0))
		n = n->link[BY_PLACE];
	return n;
}

void
watch_set_wd(struct watch *w, struct node *n, int wd)
{
	if (n->wd >= 0)
		leave(w, n, BY_WD);
	n->wd = wd;
	if (wd >= 0)
		enter(w, n, BY_WD);
}

void
watch_set_id(struct watch *w, struct node *n, const struct stat *st)
{
	if (n->flags & NODE_IDENTIFIED)
		leave(w, n, BY_ID);
	n->flags &= ~NODE_IDENTIFIED;
	if (!st)
		return;
	n->dev = st->st_dev;
	n->ino = st->st_ino;
	n->flags |= NODE_IDENTIFIED;
	enter(w, n, BY_ID);
}

void
watch_set_polled(struct watch *w, struct node *n, int polled)
{
	if (!(n->flags & NODE_POLLED) == !polled)
		return;
	n->flags ^= NODE_POLLED;
	if (polled)
		w->polled++;
	else
		w->polled--;
}

struct node *
watch_add(struct watch *w, struct node *parent, const char *name)
{
	size_t size = strlen(name) + 1;
	struct node *n = malloc(sizeof *n + size);

	if (!n)
		return NULL;
	*n = (struct node){.parent = parent, .wd = -1};
	memcpy(n->name, name, size);
	enter(w, n, BY_PLACE);
	if (parent) {
		n->flags = parent->flags & NODE_ALIAS;
		n->next = parent->child;
		n->back = &parent->child;
		if (n->next)
			n->next->back = &n->next;
		parent->child = n;
	}
	return n;
}

static void
leave_queue(struct node *n)
{
	if (!n->todo_back)
		return;
	*n->todo_back = n->todo;
	if (n->todo)
		n->todo->todo_back = n->todo_back;
	n->todo = NULL;
	n->todo_back = NULL;
}

/* The last in is the first out: what is new is read before the rest of a long scan. */
void
watch_queue(struct watch *w, struct node *n, int deep)
{
	struct node **head = &w->todo[(n->flags & NODE_ALIAS) != 0];

	if (deep)
		n->flags |= NODE_DEEP;
	if (n->todo_back)
		return;
	n->todo = *head;
	n->todo_back = head;
	if (n->todo)
		n->todo->todo_back = &n->todo;
	*head = n;
}

struct node *
watch_unqueue(struct watch *w)
{
	struct node *n = w->todo[0] ? w->todo[0] : w->todo[1];

	if (n)
		leave_queue(n);
	return n;
}

void
watch_unwatch(const struct watch *w, int wd)
{
	if (wd >= 0 && wd != w->above[0] && wd != w->above[1] && !watch_by_wd(w, wd))
		inotify_rm_watch(w->fd, wd);
}

/* What is known of n's directory, but for its place. */
static void
release(struct watch *w, struct node *n)
{
	int wd = n->wd;

	watch_set_wd(w, n, -1);
	watch_unwatch(w, wd);
	watch_set_id(w, n, NULL);
	watch_set_polled(w, n, 0);
	leave_queue(n);
	if (w->at == n) {
		closedir(w->dir);
		w->at = NULL;
	}
}

/* One that has no children any more, and a parent. */
static void
forget(struct watch *w, struct node *n)
{
	release(w, n);
	leave(w, n, BY_PLACE);
	*n->back = n->next;
	if (n->next)
		n->next->back = n->back;
	free(n);
}

void
watch_drop(struct watch *w, struct node *n)
{
	struct node *x = n, *up;

	for (;;) {
		while (x->child)
			x = x->child;
		up = x->parent;
		if (x == n)
			break;
		forget(w, x);
		x = up;
	}
	forget(w, n);
}

void
watch_drop_all(struct watch *w)
{
	while (w->root->child)
		watch_drop(w, w->root->child);
	release(w, w->root);
}

static char *
before(const struct watch *w, char *at, const char *text)
{
	size_t n = strlen(text);

	if ((size_t)(at - w->path) < n + 1)
		return NULL;
	while (n > 0)
		*--at = text[--n];
	return at;
}

/* From its end to its beginning, as the nodes are linked. */
const char *
watch_path(struct watch *w, const struct node *n, const char *name)
{
	char *at = w->path + sizeof w->path - 1;

	*at = '\0';
	if (!name && !n->parent && !*w->base)
		name = "";
	for (; at && (name || n->parent); *--at = '/') {
		at = before(w, at, name ? name : n->name);
		if (!at)
			return NULL;
		if (!name)
			n = n->parent;
		name = NULL;
	}
	at = before(w, at, w->base);
	w->rel = at ? at + strlen(w->base) + 1 : NULL;
	return at;
}

int
watch_tree_open(struct watch *w)
{
	for (int i = 0; i < TABLES; i++) {
		w->table[i].slot = calloc(TABLE_CAP_MIN, sizeof(struct node *));
		if (!w->table[i].slot)
			return -1;
		w->table[i].cap = TABLE_CAP_MIN;
	}
	w->root = watch_add(w, NULL, "");
	return w->root ? 0 : -1;
}

void
watch_tree_close(struct watch *w)
{
	if (w->root)
		watch_drop_all(w);
	free(w->root);
	for (int i = 0; i < TABLES; i++)
		free(w->table[i].slot);
}
