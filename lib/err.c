#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include "buf.h"
#include "enc.h"
#include "err.h"

enum { NO_ERRNO = -1 };

/* Sets every field, so that nothing of an earlier failure (its status, its code) clings to this one. Control
   characters go: the text may quote a peer, and it is one line on a terminal. ASCII's become spaces; C1's, what turns
   text round and what is no UTF-8 are escaped. */
static void
fill(struct err *e, enum err_kind kind, int errnum, const char *fmt, va_list ap)
{
	char text[sizeof e->msg];
	struct buf b = BUF(text), msg;

	buf_vfmt(&b, fmt, ap);
	if (errnum != NO_ERRNO) {
		buf_str(&b, ": ");
		buf_str(&b, strerror(errnum));
		buf_str(&b, errno_cure(errnum));
	}
	buf_ellipsis(&b);
	for (char *p = text; *p; p++)
		if ((unsigned char)*p < ' ' || *p == 0x7F)
			*p = ' ';
	*e = (struct err){.kind = kind};
	msg = BUF(e->msg);
	enc_printable(&msg, text, b.len);
	buf_ellipsis(&msg);
}

int
fail(struct err *e, enum err_kind kind, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fill(e, kind, NO_ERRNO, fmt, ap);
	va_end(ap);
	return -1;
}

const char *
err_show(struct err *e, const char *text)
{
	return enc_show_in(e->msg, ENC_SHOW_CAP, text);
}

int
fail_memory(struct err *e)
{
	return fail(e, ERR_LOCAL, "out of memory");
}

const char *
errno_cure(int err)
{
	return err == EMFILE ? ": raise ulimit -n" : "";
}

int
fail_errno(struct err *e, const char *fmt, ...)
{
	int errnum = errno;
	va_list ap;

	va_start(ap, fmt);
	fill(e, ERR_LOCAL, errnum, fmt, ap);
	va_end(ap);
	return -1;
}

void
err_keep(struct err_first *f, const struct err *e)
{
	if (!__atomic_exchange_n(&f->kept, 1, __ATOMIC_RELAXED))
		f->err = *e;
}

int
err_kept(const struct err_first *f)
{
	return __atomic_load_n(&f->kept, __ATOMIC_RELAXED);
}

int
err_code_in(const struct err *e, const char *codes)
{
	for (; *codes; codes += strlen(codes) + 1)
		if (!strcmp(codes, e->code))
			return 1;
	return 0;
}
