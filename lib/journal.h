#pragma once
/* What an unfinished transfer has done so far, on disk, so that the same command can go on after kill -9 or a reboot.
   Append-only lines, each with its CRC32C; a torn or damaged line and what follows it count as not written. The file is
   private (0600), locked while open (flock), and never followed through a symbolic link. */
#include <limits.h>
#include <pthread.h>
#include <stddef.h>
#include <sys/types.h>
#include "err.h"

enum { JOURNAL_TEXT_MAX = 8192, JOURNAL_NOTE_MAX = 256 };   /* bytes, the NUL included */

struct journal {
	int fd;                   /* -1: none; all functions accept that and do nothing */
	off_t end;                /* behind the last record, -1: not looked for yet; this and lock are journal.c's */
	pthread_mutex_t lock;
	char path[PATH_MAX];
};

/* A directory for journals that is ours alone: $XDG_STATE_HOME/r2, else /var/lib/r2, else $HOME/.local/state/r2; made (0700)
   when missing. One that somebody else owns or may write to is passed over, as is a relative $XDG_STATE_HOME: a warning about that
   stands in *e although 0 is returned (else e->kind is ERR_NONE). -1 (ERR_LOCAL): none, with the reasons. */
int journal_dir(char out[PATH_MAX], struct err *e);

/* 1 when there is any in dir. */
int journal_any(const char *dir);

/* Open or create the journal at path and lock it. 0; 1: another process is using it (j->fd is -1); -1 (ERR_LOCAL): no file
   of ours alone (symbolic or hard link, another owner), or not to be opened; j->fd is -1 then too. */
int journal_open(struct journal *j, const char *path, struct err *e);

/* Read it. identity and token are those of the last journal_begin ("" when there is none, or it is garbage), and part is called
   for each journal_part since then, in order. 0, or -1 (ERR_LOCAL) when it cannot be read. What counts as not written is cut off.
   Takes about 50 KB of stack. */
struct journal_text {
	char identity[JOURNAL_TEXT_MAX];
	char token[JOURNAL_TEXT_MAX];
};
int journal_load(struct journal *j, struct journal_text *t,
	void (*part)(void *arg, unsigned number, const char *note), void *arg, struct err *e);

/* What this transfer is (any text: the caller compares it on the next load) and the server's token for it (upload id, ETag).
   Earlier records no longer count. Written and synced before it returns; without a journal_load before, the file begins anew. */
int journal_begin(struct journal *j, const char *identity, const char *token, struct err *e);

/* Part number is done; note is what proves it (its ETag). One write(2) and fdatasync. Threads may call it at once.
   -1 (ERR_LOCAL, a full disk): this part is not noted; the journal stays valid. */
int journal_part(struct journal *j, unsigned number, const char *note, struct err *e);

/* The transfer is finished or given up: remove the file. */
void journal_remove(struct journal *j);
/* Keep the file for the next time, unless it is empty. */
void journal_close(struct journal *j);
