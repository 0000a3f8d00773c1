#pragma once
/* Inside watch: watch.c hears the kernel and keeps the times, watch_root.c the root, watch_scan.c reads directories, watch_tree.c remembers them, watch_fs.c knows
   file systems. Each directory known is a node; one that has to be read stands in a queue and is read when its turn comes, one at a time, so
   that a scan needs a single descriptor however deep and wide the tree is. */
#include <dirent.h>
#include <limits.h>
#include <sys/stat.h>
#include "watch.h"

enum { BY_WD, BY_PLACE, BY_ID, TABLES };
enum { ABOVE = 2 };

enum {
	NODE_ALIAS = 1,      /* reached through a symbolic link, itself or a directory above it */
	NODE_LINK = 2,       /* is that link */
	NODE_SEEN = 4,       /* the scan of its parent has met it */
	NODE_DEEP = 8,       /* when it is read, what is known below it is to be read too */
	NODE_IDENTIFIED = 16,/* is in the table BY_ID */
	NODE_REMOTE = 32,    /* on a file system that others change without an event */
	NODE_BLIND = 64,     /* could not be read: left until the next rescan, or until its permissions change */
	NODE_POLLED = 128,   /* events do not suffice: counted in watch.polled */
	NODE_SAID = 256,     /* a note about it was given */
};

struct node {
	struct node *parent, *child;
	struct node *next, **back;         /* children of one parent; back: what points here */
	struct node *todo, **todo_back;    /* NULL: not in the queue */
	struct node *link[TABLES];
	dev_t dev;                         /* as last read; valid for itself and its children when it has been read once */
	ino_t ino;
	int wd;                            /* -1: none */
	int flags;
	char name[];
};

struct table {
	struct node **slot;
	size_t cap, n;
};

struct watch {
	struct watch_options o;
	int fd;                            /* inotify, -1: none */
	int above[ABOVE];                  /* the wds of the directories that the root's name, and itself, lie in, -1: none */
	int told_above;                    /* something happened there */
	struct node *root;
	struct table table[TABLES];
	struct node *todo[2];              /* real directories, and those that wait until no real one does: aliases */
	struct node *at;                   /* the one being read, NULL: none */
	DIR *dir;
	int deep;                          /* at was queued NODE_DEEP */
	int there, said_gone;              /* the root */
	enum { MOUNTED, UNMOUNTED, UNMOUNTED_SAID } mount;
	int full, polling;                 /* under way: a scan of everything, of what is polled */
	enum { RESCAN_NONE, RESCAN_OVERFLOW, RESCAN_ASKED } rescan;
	int said_limit, said_files;
	int faults;                        /* met while reading at */
	int missed, missed_before;         /* something could not be told: since the last whole scan began; before that, until one is finished */
	int64_t now, began_ms, held_since_ms, pause_until_ms, look_ms, next_poll_ms;
	int64_t next_full_ms;              /* -1: never */
	int64_t hold_ms, not_before_ms;    /* between two scans after overflows */
	size_t polled;
	struct watch_state state;          /* its counters and scanned */
	char *rel;                         /* in path, behind the root */
	char path[PATH_MAX];               /* what watch_path returned stands at its end */
	char base[];                       /* the root, without a slash at its end: "" for "/" */
};

/* watch_tree.c */
int watch_tree_open(struct watch *w);                                  /* -1: out of memory */
void watch_tree_close(struct watch *w);
struct node *watch_by_wd(const struct watch *w, int wd);
struct node *watch_by_id(const struct watch *w, const struct stat *st);
struct node *watch_child(const struct watch *w, const struct node *parent, const char *name);
struct node *watch_add(struct watch *w, struct node *parent, const char *name);   /* parent NULL: the root. NULL: out of memory */
void watch_set_wd(struct watch *w, struct node *n, int wd);            /* the tables only, not the kernel's watch */
void watch_set_id(struct watch *w, struct node *n, const struct stat *st);        /* NULL: forgotten */
void watch_set_polled(struct watch *w, struct node *n, int polled);
/* To be read (again); deep: with what is known below it. */
void watch_queue(struct watch *w, struct node *n, int deep);
struct node *watch_unqueue(struct watch *w);                           /* the next one, NULL: none */
void watch_drop(struct watch *w, struct node *n);                      /* n, not the root, with all below it and their watches */
void watch_drop_all(struct watch *w);                                  /* what is below the root, and what is known of itself */
/* Remove a watch of the kernel's that no node has. */
void watch_unwatch(const struct watch *w, int wd);
/* Of that name in n, or of n itself when name is NULL; w->rel points into it. NULL: longer than PATH_MAX. Valid until the next call. */
const char *watch_path(struct watch *w, const struct node *n, const char *name);

/* watch_scan.c */
/* One name below n: tell the file, or queue the directory. type: DT_DIR, DT_REG or DT_UNKNOWN; event: an event said so. */
void watch_entry(struct watch *w, struct node *n, const char *name, int type, int event);
/* Read on: about budget entries. 0: nothing is left. */
int watch_read(struct watch *w, int budget);
/* n is not what it was, or not there any more: look again. */
void watch_again(struct watch *w, struct node *n);

/* watch_root.c */
void watch_full(struct watch *w);                     /* everything is to be read, beginning now */
void watch_root_found(struct watch *w, int other);    /* other: it is another directory than before; 2: of the same file system */
void watch_root_lost(struct watch *w, int err);
void watch_root_look(struct watch *w);                /* is it still there? Also every second while it is missing or unmounted */

/* watch_fs.c */
int watch_remote(int fd);      /* 1: the file system of that directory may change without an event here; 2: its leases are the server's, too */
/* w->o.note with a path in it (NULL: none), made printable. */
void watch_say(struct watch *w, const char *path, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
