#pragma once
/* What went wrong: the kind is for code, the message for people. */

enum err_kind {
	ERR_NONE,
	ERR_USAGE,    /* wrong option, operand or configuration: exit status 2 */
	ERR_KEYS,     /* no credentials anywhere: exit status 1, as the old scripts had it */
	ERR_LOCAL,    /* this machine: file, memory, entropy */
	ERR_CHANGED,  /* the local file changed while it was being sent */
	ERR_NAME,     /* the host's name could not be resolved */
	ERR_CONNECT,  /* no address answered, or the proxy refused */
	ERR_TLS,      /* certificate or handshake refused: another try will not help */
	ERR_NET,      /* an established connection was lost, cut or made no progress */
	ERR_PROTO,    /* the peer said something that is not HTTP, XML or S3 */
	ERR_HTTP,     /* the server refused: see status and code */
	ERR_CORRUPT,  /* what the server stored is not what was sent, or what arrived is not what it has */
	ERR_STOPPED,  /* we were asked to stop */
};

struct err {
	enum err_kind kind;
	int status;         /* HTTP status when kind is ERR_HTTP; 407 when it is ERR_CONNECT and the proxy wants another password; else 0 */
	int maybe_done;     /* an earlier attempt of this request may have done what was asked: it got no answer, or none that says it did not */
	int named;          /* the code is the server's own word, not what the status stands for */
	int retry_after_s;  /* what the server's Retry-After asked for, 0 when it did not */
	char code[48];      /* S3 error code ("SlowDown"), "" when there is none */
	char msg[1024];     /* one line, no newline, no program name, no secret */
};

/* Fill *e and return -1, so that a failing function can `return fail(…)`.
   The message may quote e->msg itself: it is formatted before *e is written. */
int fail(struct err *e, enum err_kind kind, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* text as the next message of e may quote it: enc_show_in with ENC_SHOW_CAP bytes of e->msg, where it stands until that message is made.
   One at a time, and not together with e->msg itself. */
const char *err_show(struct err *e, const char *text);

/* As fail(ERR_LOCAL), with ": ", strerror(errno) and errno_cure(errno) after the formatted text. */
int fail_errno(struct err *e, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* fail(ERR_LOCAL) with "out of memory". */
int fail_memory(struct err *e);

/* The first failure of several threads. Zero-initialise; err is for who knows that all of them are done. */
struct err_first {
	int kept;           /* atomic */
	struct err err;
};
/* e is it, unless there is one already. */
void err_keep(struct err_first *f, const struct err *e);
/* 1 from then on. */
int err_kept(const struct err_first *f);

/* 1 when the S3 error code is one of these, each ended by NUL: "NoSuchBucket\0NoSuchKey\0". */
int err_code_in(const struct err *e, const char *codes);

/* ": " and what to do about an errno whose text says it to nobody, or "". */
const char *errno_cure(int err);
