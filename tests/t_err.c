#include <errno.h>
#include <string.h>
#include "err.h"
#include "test.h"

static void
test_every_field_is_set(void)
{
	struct err e = {.kind = ERR_HTTP, .status = 503, .retry_after_s = 7, .code = "SlowDown", .msg = "old"};

	check_int(fail(&e, ERR_NET, "connect %s: %d", "host", 5), -1);
	check_int(e.kind, ERR_NET);
	check_str(e.msg, "connect host: 5");
	check_int(e.status, 0);
	check_int(e.retry_after_s, 0);
	check_str(e.code, "");
}

static void
test_message_may_quote_itself(void)
{
	struct err e = {0};

	fail(&e, ERR_TLS, "inner");
	fail(&e, e.kind, "outer: %s", e.msg);
	check_str(e.msg, "outer: inner");
	check_int(e.kind, ERR_TLS);
}

static void
test_one_line(void)
{
	struct err e = {0};

	fail(&e, ERR_PROTO, "%s", "a\nb\rc\033[2Jd\177e\tf\303\251");
	check_str(e.msg, "a b c [2Jd e f\303\251");
}

/* A peer's text may hold what a terminal acts on without ASCII's control characters. */
static void
test_no_escapes_above_ascii(void)
{
	struct err e = {0};

	fail(&e, ERR_PROTO, "%s", "a\302\233" "2Jb\233c\342\200\256d\377");
	check_str(e.msg, "a\\xc2\\x9b2Jb\\x9bc\\u202ed\\xff");
}

static void
test_long_message_ends_at_a_character(void)
{
	struct err e = {0};
	char text[2000] = "";

	for (int shift = 0; shift < 3; shift++) {
		memset(text, 'x', (size_t)shift);
		for (size_t i = (size_t)shift; i + 4 < sizeof text; i += 3)
			memcpy(text + i, "\342\202\254", 4);
		fail(&e, ERR_LOCAL, "%s", text);
		check(strlen(e.msg) > sizeof e.msg - 6 && strlen(e.msg) < sizeof e.msg);
		check_str(e.msg + strlen(e.msg) - 6, "\342\202\254\342\200\246");
		check_int((strlen(e.msg) - (size_t)shift) % 3, 0);
	}
}

static void
test_exact_fit(void)
{
	struct err e = {0};
	char text[sizeof e.msg];

	memset(text, 'x', sizeof text - 1);
	text[sizeof text - 1] = '\0';
	fail(&e, ERR_LOCAL, "%s", text);
	check_str(e.msg, text);
}

static void
test_errno(void)
{
	struct err e = {.status = 404};

	errno = ENOENT;
	check_int(fail_errno(&e, "open %s", "x.png"), -1);
	check_str(e.msg, "open x.png: No such file or directory");
	check_int(e.kind, ERR_LOCAL);
	check_int(e.status, 0);
	errno = EMFILE;
	fail_errno(&e, "open %s", "x.png");
	check(strstr(e.msg, ": raise ulimit -n") != NULL);
	check_str(errno_cure(ENOENT), "");
}

static void
test_code_in(void)
{
	struct err e = {.code = "NoSuchKey"};

	check(err_code_in(&e, "NoSuchKey\0") && err_code_in(&e, "NoSuchBucket\0NoSuchKey\0"));
	check(!err_code_in(&e, "NoSuch\0NoSuchKeys\0") && !err_code_in(&e, ""));
	e.code[0] = '\0';
	check(!err_code_in(&e, "NoSuchKey\0"));
}

int
main(void)
{
	test_every_field_is_set();
	test_message_may_quote_itself();
	test_one_line();
	test_no_escapes_above_ascii();
	test_long_message_ends_at_a_character();
	test_exact_fit();
	test_errno();
	test_code_in();
	return test_end();
}
