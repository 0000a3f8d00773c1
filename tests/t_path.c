#include "path.h"
#include "test.h"

static void
test_base(void)
{
	static const struct { const char *in, *want; } rows[] = {
		{"x.png", "x.png"}, {"/a/b/x.png", "x.png"}, {"a/x", "x"}, {"", ""}, {"/", ""}, {"///", ""}, {"a/b/", "b/"},
		{"a//", "a//"}, {"/x", "x"}, {"./x", "x"}, {"..", ".."}, {"a//x", "x"},
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		check_str(path_base(rows[i].in), rows[i].want);
}

static void
test_key_good(void)
{
	static const char *const good[] = {"x", "outputs/2025-12-29/x.png", "...", "a/...", ".hidden", "a/.b/..c", "a//b",
		"/a", "a/", "a b+c", "\xc3\xa9", "a\nb", ".. ", "a/b..", NULL};
	struct err e = {0};
	char key[PATH_KEY_MAX + 2];

	for (int i = 0; good[i]; i++)
		check_int(path_key_check(good[i], &e), 0);
	memset(key, 'k', sizeof key);
	key[PATH_KEY_MAX] = '\0';
	check_int(path_key_check(key, &e), 0);
	check_int(e.kind, ERR_NONE);
}

static void
bad_key(const char *key, const char *want)
{
	struct err e = {0};

	check_int(path_key_check(key, &e), -1);
	check_int(e.kind, ERR_USAGE);
	check_str(e.msg, want);
}

static void
test_key_bad(void)
{
	struct err e = {0};
	char key[PATH_KEY_MAX + 2];

	bad_key("", "an empty key: an object needs a name");
	for (int i = 0; i < 8; i++) {
		static const char *const dots[] = {".", "..", "./x", "../x", "x/.", "x/..", "a/./b", "a/../b"};
		char want[200];

		snprintf(want, sizeof want, "key %s: has a \".\" or \"..\" segment: no file could be read back under "
			"that name", dots[i]);
		bad_key(dots[i], want);
	}
	bad_key("s3://b/k", "key s3://b/k: begins with s3://: the bucket belongs into --bucket");
	bad_key("R2://b/k", "key R2://b/k: begins with R2://: the bucket belongs into --bucket");
	bad_key("a\xff\nz", "key a\\xff\\nz: not valid UTF-8: rename the file, or name its key with r2 upload --key");
	memset(key, 'k', sizeof key);
	key[PATH_KEY_MAX + 1] = '\0';
	check_int(path_key_check(key, &e), -1);
	check(strstr(e.msg, "kkk\xe2\x80\xa6: 1025 bytes: a key has at most 1024") != NULL);
	check(strlen(e.msg) < 280);
	memset(key, '\xff', PATH_KEY_MAX);
	key[PATH_KEY_MAX] = '\0';
	check_int(path_key_check(key, &e), -1);
	check(strstr(e.msg, "not valid UTF-8") != NULL && strlen(e.msg) < 300);
}

static void
test_join(void)
{
	static const struct { const char *prefix, *date, *name, *want; } rows[] = {
		{"outputs", "2025-12-29", "x.png", "outputs/2025-12-29/x.png"}, {"", "2025-12-29", "x", "2025-12-29/x"},
		{"outputs", "", "x", "outputs/x"}, {"", "", "x", "x"}, {"outputs/", "d", "x", "outputs/d/x"},
		{"outputs//", "d", "x", "outputs/d/x"}, {"/outputs/", "d", "x", "outputs/d/x"}, {"/", "d", "x", "d/x"},
		{"a/b", "", "c/d.png", "a/b/c/d.png"}, {"a", "d", "/x", "a/d/x"}, {"a//b", "", "x", "a//b/x"},
	};
	char mem[64], tiny[8];
	struct buf small = BUF(tiny);

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct buf b = BUF(mem);

		path_key_join(&b, rows[i].prefix, rows[i].date, rows[i].name);
		check_str(mem, rows[i].want);
		check(buf_ok(&b));
	}
	path_key_join(&small, "outputs", "d", "x");
	check(!buf_ok(&small));
}

static void
test_s3_url(void)
{
	char bucket[8] = "";
	const char *key = NULL;
	struct err e = {0};

	check_int(path_s3_url("s3://pics/a/b.png", bucket, sizeof bucket, &key, &e), 1);
	check_str(bucket, "pics");
	check_str(key, "a/b.png");
	check_int(path_s3_url("R2://p", bucket, sizeof bucket, &key, &e), 1);
	check_str(bucket, "p");
	check_str(key, "");
	check_int(path_s3_url("r2://p/", bucket, sizeof bucket, &key, &e), 1);
	check_str(key, "");
	check_int(path_s3_url("s3://p//k", bucket, sizeof bucket, &key, &e), 1);
	check_str(key, "/k");
	check_int(path_s3_url("s3://1234567/k", bucket, sizeof bucket, &key, &e), 1);
	check_str(bucket, "1234567");
	check_int(path_s3_url("outputs/s3://x", bucket, sizeof bucket, &key, &e), 0);
	check_int(path_s3_url("", bucket, sizeof bucket, &key, &e), 0);
	check_int(path_s3_url("s3:/x", bucket, sizeof bucket, &key, &e), 0);
	check_int(path_s3_url("s4://b/x", bucket, sizeof bucket, &key, &e), 0);
	check_int(e.kind, ERR_NONE);
	check_int(path_s3_url("s3:///k", bucket, sizeof bucket, &key, &e), -1);
	check_str(e.msg, "s3:///k: no bucket: write s3://BUCKET/KEY");
	check_int(path_s3_url("s3://", bucket, sizeof bucket, &key, &e), -1);
	check_int(path_s3_url("s3://12345678/k", bucket, sizeof bucket, &key, &e), -1);
	check_str(e.msg, "s3://12345678/k: the bucket's name has 8 characters: at most 7 are possible");
	check_int(e.kind, ERR_USAGE);
	check_str(bucket, "1234567");
}

static void
test_bucket(void)
{
	static const char *const good[] = {"abc", "runpod", "a-b", "0a9", "my.bucket.eu", "a--b",
		"abcdefghijklmnopqrstuvwxyz0123456789abcdefghijklmnopqrstuvwxyz0", NULL};
	static const struct { const char *name, *want; } wrong[] = {
		{"", "bucket \"\": a bucket's name has 3 to 63 characters"},
		{"ab", "bucket \"ab\": a bucket's name has 3 to 63 characters"},
		{"abcdefghijklmnopqrstuvwxyz0123456789abcdefghijklmnopqrstuvwxyz01", NULL},
		{"Abc", "bucket \"Abc\": a bucket's name has only a-z, 0-9 and '-'"}, {"a_b", NULL}, {"a b", NULL},
		{"a/b", NULL}, {"a\nb", "bucket \"a\\nb\": a bucket's name has only a-z, 0-9 and '-'"}, {"\xc3\xa9x", NULL},
		{"-abc", "bucket \"-abc\": a bucket's name begins and ends with a letter or a digit"}, {"abc-", NULL},
		{".abc", NULL}, {"abc.", NULL}, {"a..b", "bucket \"a..b\": a bucket's name has no two dots together"},
	};
	struct err e = {0};

	for (int i = 0; good[i]; i++)
		check_int(path_bucket_check(good[i], &e), 0);
	check_int(e.kind, ERR_NONE);
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		check_int(path_bucket_check(wrong[i].name, &e), -1);
		check_int(e.kind, ERR_USAGE);
		if (wrong[i].want)
			check_str(e.msg, wrong[i].want);
	}
}

static void
test_match(void)
{
	static const struct { const char *pattern, *name; int any_case, want; } rows[] = {
		{"*.png", "x.png", 0, 1}, {"*.png", "x.PNG", 0, 0}, {"*.png", "x.PNG", 1, 1}, {"*.PNG", "x.png", 1, 1},
		{"*.png", "a/b.png", 0, 1}, {"*", ".hidden", 0, 1}, {"?.png", "x.png", 0, 1}, {"?.png", "xy.png", 0, 0},
		{"[a-c].png", "b.png", 0, 1}, {"[a-c].png", "d.png", 0, 0}, {"[!a-c].png", "d.png", 0, 1},
		{"a\\*b", "a*b", 0, 1}, {"a\\*b", "axb", 0, 0}, {"", "", 0, 1}, {"", "x", 0, 0}, {"*.png", "x.jpg", 1, 0},
		{"?.png", "\xc3\xa9.png", 0, 1}, {"??.png", "\xc3\xa9.png", 0, 0}, {"?", "\xc3", 0, 1}, {"[\xc3\xa0-\xc3\xbc]", "\xc3\xa9", 0, 1},
		{"[x.png", "[x.png", 0, 1}, {"[]x]", "]", 0, 1}, {"[!]x]", "]", 0, 0}, {"[a-]", "-", 0, 1}, {"[\\]]", "]", 0, 1},
		{"[A-C]", "b", 1, 1}, {"[^a]", "b", 0, 1}, {"*a*b*c", "xxaybzc", 0, 1}, {"*a*b*c", "xxaybz", 0, 0}, {"**", "", 0, 1},
		{"a*", "a", 0, 1}, {"a?", "a", 0, 0}, {"\\", "\\", 0, 1}, {"*\\?", "a?", 0, 1}, {"*\\?", "ab", 0, 0},
		/* What is no UTF-8 is bytes, and none of them a letter: overlong "/", more than U+10FFFF, Latin-1. */
		{"/", "\xc0\xaf", 0, 0}, {"?", "\xff\x9f\x98\x80", 0, 0}, {"????", "\xff\x9f\x98\x80", 0, 1}, {"\xc3\xa9", "\xe9", 0, 0},
		{"\xe9", "\xe9", 0, 1}, {"?\xbb", "\xe0\xbb", 0, 1}, {"[\xe0-\xff]", "\xe9", 0, 1}, {"[\xc3\xa0-\xc3\xbf]", "\xe9", 0, 0},
		{"*a*a*a*a*a*a*a*a*b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", 0, 0},
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		if (path_match(rows[i].pattern, rows[i].name, rows[i].any_case) != rows[i].want)
			check_str(rows[i].pattern, rows[i].name);
		else
			check(1);
}

static void
test_match_any(void)
{
	static const char *const patterns[] = {"*.png", "a/b"};

	check_int(path_match_any(patterns, 2, "x/y.png", 0), 1);
	check_int(path_match_any(patterns, 2, "a/b", 0), 1);
	check_int(path_match_any(patterns, 1, "a/b", 0), 0);
	check_int(path_match_any(patterns + 1, 1, "x/a/b", 0), 0);
	check_int(path_match_any(patterns, 2, "x/Y.PNG", 0), 0);
	check_int(path_match_any(patterns, 2, "x/Y.PNG", 1), 1);
	check_int(path_match_any(patterns, 0, "y.png", 0), 0);
	/* As rsync and .gitignore have it: a slash at the end says directory, one in front the place. */
	check_int(path_match_any((const char *const[]){"tmp/"}, 1, "tmp", 0), 1);
	check_int(path_match_any((const char *const[]){"tmp//"}, 1, "x/tmp", 0), 1);
	check_int(path_match_any((const char *const[]){"/tmp"}, 1, "tmp", 0), 1);
	check_int(path_match_any((const char *const[]){"/tmp/"}, 1, "x/tmp", 0), 0);
	check_int(path_match_any((const char *const[]){"./tmp"}, 1, "tmp", 0), 1);
	check_int(path_match_any((const char *const[]){"./tmp"}, 1, "x/tmp", 0), 0);
	check_int(path_match_any((const char *const[]){".tmp"}, 1, "x/.tmp", 0), 1);
	check_int(path_match_any((const char *const[]){"/"}, 1, "x", 0), 0);
}

int
main(void)
{
	test_base();
	test_key_good();
	test_key_bad();
	test_join();
	test_s3_url();
	test_bucket();
	test_match();
	test_match_any();
	return test_end();
}
