#include "buf.h"
#include "test.h"

static void
test_append(void)
{
	char mem[32];
	struct buf b = BUF(mem);

	check_str(mem, "");
	buf_str(&b, "abc");
	buf_char(&b, '-');
	buf_put(&b, "x\0y", 3);
	check_int(b.len, 7);
	check(!memcmp(mem, "abc-x\0y", 8));
	buf_fmt(&b, "%d/%s", 42, "z");
	check_int(b.len, 11);
	check_str(mem + 7, "42/z");
	buf_put(&b, NULL, 0);
	buf_fmt(&b, "%s", "");
	check_int(b.len, 11);
	check_int(buf_ok(&b), 1);
}

static void
test_exact_fit(void)
{
	char mem[5];
	struct buf b = BUF(mem);

	buf_str(&b, "abcd");
	check_int(buf_ok(&b), 1);
	buf_str(&b, "");
	check_int(buf_ok(&b), 1);
	buf_reset(&b);
	buf_fmt(&b, "%s", "abcd");
	check_int(buf_ok(&b), 1);
	check_str(mem, "abcd");
}

/* What does not fit is never written, and nothing goes in behind it. */
static void
test_overflow(void)
{
	char mem[8] = "";
	struct buf b = {mem, 0, 5, 0};

	mem[5] = 'G';
	buf_str(&b, "abcdef");
	check_int(buf_ok(&b), 0);
	check_str(mem, "abcd");
	check_int(mem[5], 'G');
	buf_reset(&b);
	check_str(mem, "");
	check_int(buf_ok(&b), 1);
	buf_str(&b, "abc");
	buf_fmt(&b, "%d", 12345);
	check_int(buf_ok(&b), 0);
	check_str(mem, "abc1");
	check_int(mem[5], 'G');
}

static void
test_overflow_stays_a_prefix(void)
{
	char mem[8];
	struct buf b = BUF(mem);

	buf_str(&b, "123456");
	buf_put(&b, "", 0);
	b.overflow = 1;
	buf_char(&b, 'x');
	buf_fmt(&b, "x");
	check_str(mem, "123456");
	check_int(b.len, 6);
}

static void
test_no_memory(void)
{
	struct buf b = {0};

	buf_fmt(&b, "%s", "");
	buf_put(&b, "", 0);
	check_int(buf_ok(&b), 1);
	buf_char(&b, 'x');
	check_int(buf_ok(&b), 0);
	buf_reset(&b);
	buf_fmt(&b, "x");
	check_int(buf_ok(&b), 0);
	buf_ellipsis(&b);
	check_int(b.len, 0);
}

static void
test_ellipsis(void)
{
	static const struct { const char *text, *want; } cases[] = {
		{"1234567", "1234567"}, {"12345678", "1234\342\200\246"}, {"12\303\251567", "12\303\251567"},
		{"12\303\2515678", "12\303\251\342\200\246"}, {"123\303\251678", "123\342\200\246"},
		{"\342\202\254\342\202\254\342\202\254", "\342\202\254\342\200\246"},
	};
	char mem[8], tiny[3];
	struct buf small = BUF(tiny);

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct buf b = BUF(mem);

		buf_str(&b, cases[i].text);
		buf_ellipsis(&b);
		check_str(mem, cases[i].want);
		check_int(b.len, strlen(mem));
		check_int(buf_ok(&b), !strcmp(cases[i].text, cases[i].want));
	}
	buf_str(&small, "abc");
	buf_ellipsis(&small);
	check_str(tiny, "ab");
}

int
main(void)
{
	test_append();
	test_exact_fit();
	test_overflow();
	test_overflow_stays_a_prefix();
	test_no_memory();
	test_ellipsis();
	return test_end();
}
