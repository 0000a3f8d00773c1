/* AWS's own suite (tests/vectors/sigv4), the worked examples of the S3 reference (sigv4-s3), and what
   neither has: limits, long secrets, a presigned query with a token. */
#include <ctype.h>
#include <dirent.h>
#include <pthread.h>
#include <stdlib.h>
#include "hash.h"
#include "sigv4.h"
#include "test.h"
#include "utc.h"

#define SUITE "tests/vectors/sigv4"

enum { FILE_MAX = 32768, FIELDS = 16 };

/* The whole file, NUL-terminated; "" when it cannot be read. */
static const char *
slurp(const char *path, char out[FILE_MAX])
{
	FILE *f = fopen(path, "r");
	size_t n = f ? fread(out, 1, FILE_MAX - 1, f) : 0;

	if (f)
		fclose(f);
	out[n] = '\0';
	return out;
}

/* The string after "key": in flat JSON, with \n and \" decoded; NULL when the key is not there. */
static const char *
json_string(const char *json, const char *key, char *out, size_t cap)
{
	char quoted[64];
	const char *p;
	size_t n = 0;

	snprintf(quoted, sizeof quoted, "\"%s\": \"", key);
	p = strstr(json, quoted);
	if (!p)
		return NULL;
	for (p += strlen(quoted); *p && *p != '"' && n + 1 < cap; p++) {
		if (*p == '\\')
			p++;
		out[n++] = p[-1] == '\\' && *p == 'n' ? '\n' : *p;
	}
	out[n] = '\0';
	return out;
}

static int
json_true(const char *json, const char *key)
{
	char quoted[64];

	snprintf(quoted, sizeof quoted, "\"%s\": true", key);
	return strstr(json, quoted) != NULL;
}

/* One case of the suite. Strings point into the arrays. */
struct suite_case {
	char context[FILE_MAX], request[FILE_MAX], strings[6][1024];
	char path[1024], query[2048], body_sha256[65], stamp[UTC_AMZ_CAP];
	struct pair fields[FIELDS];
	struct sigv4_keys keys;
	struct sigv4_request r;
};

/* What the suite's normalize=true asks for and S3 never does: RFC 3986 section 5.2.4, and one slash for many. */
static void
normalize(char *path)
{
	char out[1024] = "";
	size_t n = 0, end = strlen(path);
	int slash = path[end - 1] == '/' || !strcmp(path + end - 2, "/.") || !strcmp(path + end - 2, "..");

	for (const char *p = path; *p;) {
		size_t len = strcspn(p += strspn(p, "/"), "/");

		if (len == 2 && !strncmp(p, "..", 2)) {
			while (n > 0 && out[--n] != '/')
				;
		} else if (len > 0 && !(len == 1 && *p == '.')) {
			out[n++] = '/';
			memcpy(out + n, p, len);
			n += len;
		}
		p += len;
	}
	if (slash)
		out[n++] = '/';
	out[n] = '\0';
	strcpy(path, out);
}

static void
encode_target(struct suite_case *c, char *target)
{
	struct pair pairs[ENC_QUERY_MAX];
	struct buf path = BUF(c->path), query = BUF(c->query);
	char *q = strchr(target, '?');
	size_t n = 0;

	if (q)
		*q++ = '\0';
	if (json_true(c->context, "normalize"))
		normalize(target);
	enc_path(&path, target);
	for (char *p = q ? strtok(q, "&") : NULL; p; p = strtok(NULL, "&")) {
		char *eq = strchr(p, '=');

		if (eq)
			*eq++ = '\0';
		/* one case has its query encoded already, the others raw */
		p[enc_unpercent(p, strlen(p), 0)] = '\0';
		pairs[n++] = (struct pair){p, eq ? eq : ""};
	}
	enc_query_pairs(&query, pairs, n);
	check(buf_ok(&path) && buf_ok(&query));
}

/* "Name:value" lines up to the blank one; a line that begins with a blank continues the one before. */
static char *
parse_fields(struct suite_case *c, char *p)
{
	while (p && *p && *p != '\n') {
		char *end = strchr(p, '\n'), *colon;

		while (end && end[1] == ' ') {
			*end = ' ';
			end = strchr(end, '\n');
		}
		if (end)
			*end++ = '\0';
		colon = strchr(p, ':');
		*colon = '\0';
		for (char *s = p; *s; s++)
			*s = (char)tolower((unsigned char)*s);
		c->fields[c->r.nfields++] = (struct pair){p, colon + 1};
		p = end;
	}
	return p && *p ? p + 1 : p;
}

static void
parse_request(struct suite_case *c)
{
	char *target = strchr(c->request, ' ') + 1, *end = strstr(target, " HTTP/1.1\n"), *body;
	unsigned char digest[32];
	struct buf hex = BUF(c->body_sha256);

	target[-1] = *end = '\0';
	body = parse_fields(c, end + strlen(" HTTP/1.1\n"));
	hash_sha256(body ? body : "", body ? strlen(body) : 0, digest);
	enc_hex(&hex, digest, sizeof digest);
	encode_target(c, target);
	c->r.method = c->request;
}

static void
load_case(struct suite_case *c, const char *name)
{
	char path[512];

	memset(c, 0, sizeof *c);
	snprintf(path, sizeof path, SUITE "/%s/context.json", name);
	slurp(path, c->context);
	snprintf(path, sizeof path, SUITE "/%s/request.txt", name);
	slurp(path, c->request);
	c->keys.id = json_string(c->context, "access_key_id", c->strings[0], 1024);
	c->keys.secret = json_string(c->context, "secret_access_key", c->strings[1], 1024);
	c->keys.token = json_string(c->context, "token", c->strings[2], 1024);
	c->keys.region = json_string(c->context, "region", c->strings[3], 1024);
	c->keys.service = json_string(c->context, "service", c->strings[4], 1024);
	json_string(c->context, "timestamp", c->strings[5], 1024);
	check_int(utc_parse_iso(c->strings[5], strlen(c->strings[5]), &c->r.time), 0);
	utc_amz(c->r.time, c->stamp);
	parse_request(c);
	/* the token then travels beside the signature, unsigned: nothing that sigv4.c has to know */
	if (json_true(c->context, "omit_session_token"))
		c->keys.token = NULL;
	c->r.path = c->path;
	c->r.query = c->query;
	c->r.fields = c->fields;
	c->r.payload = c->body_sha256;
}

static void
expect_file(const char *name, const char *file, const char *got)
{
	char path[512], want[FILE_MAX];

	snprintf(path, sizeof path, SUITE "/%s/%s", name, file);
	slurp(path, want);
	check(*want);
	if (strcmp(got, want))
		fprintf(stderr, "in %s:\n", path);
	check_str(got, want);
}

/* Canonical request, string to sign and signature of r against the files of one variant. */
static void
expect_stages(const char *name, const char *variant, const struct sigv4_keys *k, const struct sigv4_request *r)
{
	char text[SIGV4_TEXT_CAP], to_sign[1024], hex[65], file[64];
	struct buf canonical = BUF(text), string = BUF(to_sign);

	sigv4_canonical(&canonical, r);
	sigv4_string_to_sign(&string, k, r, canonical.p, canonical.len);
	check_int(sigv4_sign(k, r, hex), 0);
	snprintf(file, sizeof file, "%s-canonical-request.txt", variant);
	expect_file(name, file, text);
	snprintf(file, sizeof file, "%s-string-to-sign.txt", variant);
	expect_file(name, file, to_sign);
	snprintf(file, sizeof file, "%s-signature.txt", variant);
	expect_file(name, file, hex);
}

static void
header_variant(const char *name, struct suite_case *c)
{
	char got[2048], path[512], want[FILE_MAX], *line;
	struct buf b = BUF(got);

	c->fields[c->r.nfields++] = (struct pair){"x-amz-date", c->stamp};
	if (c->keys.token)
		c->fields[c->r.nfields++] = (struct pair){"x-amz-security-token", c->keys.token};
	if (json_true(c->context, "sign_body"))
		c->fields[c->r.nfields++] = (struct pair){"x-amz-content-sha256", c->body_sha256};
	expect_stages(name, "header", &c->keys, &c->r);

	check_int(sigv4_authorization(&b, &c->keys, &c->r), 0);
	snprintf(path, sizeof path, SUITE "/%s/header-signed-request.txt", name);
	slurp(path, want);
	line = strstr(want, "\nAuthorization:");
	check(line != NULL);
	line = line ? line + strlen("\nAuthorization:") : want;
	line[strcspn(line, "\n")] = '\0';
	check_str(got, line);
}

static void
query_variant(const char *name, struct suite_case *c)
{
	char url[4096], unsigned_query[4096];
	struct buf b = BUF(url);
	struct sigv4_request r = c->r;
	const char *signature;

	if (*c->r.query)
		return;
	check_int(sigv4_presign(&b, &c->keys, &c->r, 3600), 0);
	signature = strstr(url, "&X-Amz-Signature=");
	check(signature != NULL);
	if (!signature)
		return;
	snprintf(unsigned_query, sizeof unsigned_query, "%.*s", (int)(signature - url), url);
	r.query = unsigned_query;
	expect_stages(name, "query", &c->keys, &r);
	expect_file(name, "query-signature.txt", signature + strlen("&X-Amz-Signature="));
}

static void
test_suite(void)
{
	static struct suite_case c;
	struct dirent *entry;
	DIR *dir = opendir(SUITE);
	int cases = 0;

	check(dir != NULL);
	while (dir && (entry = readdir(dir))) {
		if (strncmp(entry->d_name, "get-", 4) && strncmp(entry->d_name, "post-", 5))
			continue;
		cases++;
		load_case(&c, entry->d_name);
		header_variant(entry->d_name, &c);
		load_case(&c, entry->d_name);
		query_variant(entry->d_name, &c);
	}
	if (dir)
		closedir(dir);
	check_int(cases, 38);
}

/* The members of "headers": {…} */
static size_t
json_headers(char *json, struct pair fields[FIELDS])
{
	char *p = strstr(json, "\"headers\": {"), *end = strchr(p, '}');
	size_t n = 0;

	p += strlen("\"headers\": {");
	*end = '\0';
	for (p = strtok(p, "\""); p; p = strtok(NULL, "\"")) {
		/* the tokens between quotes: blank, name, ": ", value, ",\n" */
		if (n < FIELDS && (p = strtok(NULL, "\""))) {
			fields[n].name = p;
			strtok(NULL, "\"");
			fields[n++].value = strtok(NULL, "\"");
		}
	}
	*end = '}';
	return n;
}

static void
s3_example(char *json, const struct sigv4_keys *k, int *presigned)
{
	char strings[7][1024], headers[2048], text[SIGV4_TEXT_CAP], to_sign[1024], hex[65], url[1024];
	struct pair fields[FIELDS];
	struct sigv4_request r = {.time = 1369353600, .fields = fields};
	struct buf canonical = BUF(text), string = BUF(to_sign), b = BUF(url);

	r.method = json_string(json, "method", strings[0], 1024);
	r.path = json_string(json, "canonical_uri", strings[1], 1024);
	r.query = json_string(json, "canonical_query", strings[2], 1024);
	r.payload = json_string(json, "payload_hash", strings[3], 1024);
	json_string(json, "canonical_request", strings[4], 1024);
	json_string(json, "string_to_sign", strings[5], 1024);
	json_string(json, "signature", strings[6], 1024);
	snprintf(headers, sizeof headers, "%s", strstr(json, "\"headers\": {"));
	r.nfields = json_headers(headers, fields);

	sigv4_canonical(&canonical, &r);
	check_str(text, strings[4]);
	sigv4_string_to_sign(&string, k, &r, text, canonical.len);
	check_str(to_sign, strings[5]);
	check_int(sigv4_sign(k, &r, hex), 0);
	check_str(hex, strings[6]);
	if (strstr(json, "\"name\": \"presigned-get\"") != json)
		return;
	*presigned = 1;
	r.query = "";
	check_int(sigv4_presign(&b, k, &r, 86400), 0);
	check(!strncmp(url, strings[2], strlen(strings[2])));
	check_str(strstr(url, "&X-Amz-Signature=") + 17, strings[6]);
}

static void
test_s3_examples(void)
{
	char json[FILE_MAX], id[64], secret[64];
	struct sigv4_keys k = {.region = "us-east-1", .service = "s3"};
	int cases = 0, presigned = 0;

	slurp("tests/vectors/sigv4-s3/s3-doc-examples.json", json);
	k.id = json_string(json, "access_key", id, sizeof id);
	k.secret = json_string(json, "secret_key", secret, sizeof secret);
	for (char *p = strstr(json, "\"name\": "); p; p = strstr(p + 1, "\"name\": "), cases++)
		s3_example(p, &k, &presigned);
	check_int(cases, 6);
	check_int(presigned, 1);
}

static void
test_uri_encode(void)
{
	char all[FILE_MAX], hex[256], path[256], query[256], got[256], bytes[128];
	int lines = 0;

	slurp("tests/vectors/sigv4-s3/uri_encode.tsv", all);
	for (char *p = all; *p; p += strcspn(p, "\n"), p += *p == '\n') {
		struct buf b = BUF(got);
		size_t n;

		if (*p == '#' || sscanf(p, "%255[^\t]\t%255[^\t]\t%255[^\n]", hex, path, query) != 3)
			continue;
		n = strlen(hex) / 2;
		check_int(enc_unhex(hex, (unsigned char *)bytes, n), 0);
		bytes[n] = '\0';
		enc_path(&b, bytes);
		check_str(got, path);
		buf_reset(&b);
		enc_query(&b, bytes);
		check_str(got, query);
		lines++;
	}
	check_int(lines, 20);
}

static void
test_signing_key(void)
{
	char all[FILE_MAX], secret[128], region[64], service[64], want[65], got[65];
	int lines = 0;

	slurp("tests/vectors/hash/sigv4_signing_key.tsv", all);
	for (char *p = all; *p; p += strcspn(p, "\n"), p += *p == '\n') {
		struct sigv4_keys k = {.secret = secret, .region = region, .service = service};
		unsigned char key[32];
		struct buf b = BUF(got);
		struct utc u = {0};

		if (sscanf(p, "%127s %4d%2d%2d %63s %63s %64s", secret, &u.year, &u.month, &u.day, region, service,
			want) != 7)
			continue;
		sigv4_signing_key(&k, utc_join(&u), key);
		enc_hex(&b, key, sizeof key);
		check_str(got, want);
		/* the same day's last second has the same key, the next one another */
		sigv4_signing_key(&k, utc_join(&u) + 86399, key);
		buf_reset(&b);
		enc_hex(&b, key, sizeof key);
		check_str(got, want);
		sigv4_signing_key(&k, utc_join(&u) + 86400, key);
		buf_reset(&b);
		enc_hex(&b, key, sizeof key);
		check(strcmp(got, want));
		lines++;
	}
	check_int(lines, 3);
}

static const struct sigv4_keys keys = {"AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", NULL, "auto", "s3"};

static const struct pair host = {"host", "h.example"};

static struct sigv4_request
simple_request(void)
{
	return (struct sigv4_request){.method = "GET", .path = "/b/k", .query = "", .fields = &host, .nfields = 1,
		.payload = SIGV4_UNSIGNED, .time = 1440938160};
}

static void
test_canonical_fields(void)
{
	static const struct pair fields[] = {{"x-b", "  two \t words\t"}, {"host", "h"}, {"x-b", ""}, {"x-a", " "},
		{"x-b", "3"}, {"x-bb", "a  b"}};
	struct sigv4_request r = simple_request();
	char text[512];
	struct buf b = BUF(text);

	r.fields = fields;
	r.nfields = 6;
	r.path = "/b//./../k";   /* S3: as it is */
	r.query = "prefix=a%2Fb";
	sigv4_canonical(&b, &r);
	check_str(text, "GET\n/b//./../k\nprefix=a%2Fb\nhost:h\nx-a:\nx-b:two words,,3\nx-bb:a b\n\nhost;x-a;x-b;x-bb\n"
		SIGV4_UNSIGNED);
}

static void
test_field_limits(void)
{
	static struct pair many[SIGV4_FIELDS_MAX + 1];
	static char names[SIGV4_FIELDS_MAX + 1][8], big[SIGV4_TEXT_CAP + 1];
	struct sigv4_request r = simple_request();
	char hex[65], text[1024];
	struct buf b = BUF(text);

	for (int i = 0; i <= SIGV4_FIELDS_MAX; i++) {
		snprintf(names[i], sizeof names[i], "x-%u", (unsigned)i % 100);
		many[i] = (struct pair){names[i], "v"};
	}
	r.fields = many;
	r.nfields = SIGV4_FIELDS_MAX;
	check_int(sigv4_sign(&keys, &r, hex), 0);
	r.nfields++;
	check_int(sigv4_sign(&keys, &r, hex), -1);
	check_str(hex, "");
	check_int(sigv4_presign(&b, &keys, &r, 60), -1);

	memset(big, 'v', sizeof big - 1);
	many[0].value = big + 200;   /* 200 bytes are for the rest of the canonical request */
	r.nfields = 1;
	check_int(sigv4_sign(&keys, &r, hex), 0);
	many[0].value = big;
	check_int(sigv4_sign(&keys, &r, hex), -1);
}

/* The last step of a signature, without the module's own key derivation. */
static void
sign_by_hand(const struct sigv4_keys *k, const struct sigv4_request *r, char want[65])
{
	char first[SIGV4_SECRET_MAX + 8], canonical[512], to_sign[512];
	unsigned char key[32];
	struct buf f = BUF(first), c = BUF(canonical), s = BUF(to_sign), w = {want, 0, 65, 0};

	buf_fmt(&f, "AWS4%s", k->secret);
	hash_hmac_sha256(f.p, f.len, "20150830", 8, key);
	hash_hmac_sha256(key, 32, "auto", 4, key);
	hash_hmac_sha256(key, 32, "s3", 2, key);
	hash_hmac_sha256(key, 32, "aws4_request", 12, key);
	sigv4_canonical(&c, r);
	sigv4_string_to_sign(&s, k, r, c.p, c.len);
	hash_hmac_sha256(key, 32, s.p, s.len, key);
	enc_hex(&w, key, sizeof key);
}

static void
test_secret_limits(void)
{
	char secret[SIGV4_SECRET_MAX + 2], hex[65], want[65];
	struct sigv4_request r = simple_request();
	struct sigv4_keys k = keys;

	/* from "AWS4" and 60 on, HMAC hashes its key first; R2's secrets have 64 */
	memset(secret, 's', sizeof secret);
	k.secret = secret;
	for (size_t n = 59; n <= SIGV4_SECRET_MAX; n += n < 66 ? 1 : SIGV4_SECRET_MAX - 66) {
		secret[n] = '\0';
		check_int(sigv4_sign(&k, &r, hex), 0);
		sign_by_hand(&k, &r, want);
		check_str(hex, want);
		secret[n] = 's';
	}
	secret[SIGV4_SECRET_MAX + 1] = '\0';
	check_int(sigv4_sign(&k, &r, hex), -1);
	check_str(hex, "");
}

static void
test_small_output(void)
{
	struct sigv4_request r = simple_request();
	char text[512], small[100];
	struct buf b = BUF(text), s = BUF(small);

	check_int(sigv4_authorization(&b, &keys, &r), 0);
	text[strlen(text) - 64] = '\0';
	check_str(text, "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/auto/s3/aws4_request, SignedHeaders=host, "
		"Signature=");
	check_int(sigv4_authorization(&s, &keys, &r), -1);
	buf_reset(&s);
	check_int(sigv4_presign(&s, &keys, &r, 60), -1);
}

/* The parameters stand where they sort, and what was in b stays. */
static void
test_presign_query(void)
{
	struct sigv4_request r = simple_request();
	struct sigv4_keys k = keys;
	char text[1024];
	struct buf b = BUF(text);

	k.token = "a/b=";
	buf_str(&b, "https://h.example/b/k?");
	check_int(sigv4_presign(&b, &k, &r, 60), 0);
	check(strlen(text) > 64);
	text[strlen(text) - 64] = '\0';
	check_str(text, "https://h.example/b/k?X-Amz-Algorithm=AWS4-HMAC-SHA256"
		"&X-Amz-Credential=AKIDEXAMPLE%2F20150830%2Fauto%2Fs3%2Faws4_request&X-Amz-Date=20150830T123600Z"
		"&X-Amz-Expires=60&X-Amz-Security-Token=a%2Fb%3D&X-Amz-SignedHeaders=host&X-Amz-Signature=");
	buf_reset(&b);
	k.token = "";
	check_int(sigv4_presign(&b, &k, &r, 60), 0);
	check(!strstr(text, "Security-Token"));
}

static void
test_presign_expires(void)
{
	struct sigv4_request r = simple_request();
	char text[1024];
	struct buf b = BUF(text);

	check_int(sigv4_presign(&b, &keys, &r, 0), -1);
	check_int(sigv4_presign(&b, &keys, &r, 604801), -1);
	check_int(sigv4_presign(&b, &keys, &r, 1), 0);
	buf_reset(&b);
	check_int(sigv4_presign(&b, &keys, &r, 604800), 0);
	check(strstr(text, "&X-Amz-Expires=604800&") != NULL);
}

/* ---- what is left of a secret */

static _Alignas(4096) unsigned char stack[256 * 1024];
static unsigned char day_key[32];

static void *
sign_all(void *arg)
{
	struct sigv4_keys *k = arg;
	struct sigv4_request r = simple_request();
	char text[1024];
	struct buf b = BUF(text);

	check_int(sigv4_authorization(&b, k, &r), 0);
	buf_reset(&b);
	check_int(sigv4_presign(&b, k, &r, 60), 0);
	/* Last, so that nothing is written over what it leaves. */
	sigv4_signing_key(k, r.time, day_key);
	return NULL;
}

/* How often the n bytes stand on the stack. By hand: what nobody owns any more ASan lets no function of its own read. */
__attribute__((no_sanitize("address"))) static int
left_behind(const unsigned char *what, size_t n)
{
	int found = 0;

	for (size_t at = 0; at + n <= sizeof stack; at++) {
		size_t same = 0;

		while (same < n && stack[at + same] == what[same])
			same++;
		found += same == n;
	}
	return found;
}

/* Of a thread that has signed, its stack has neither the secret nor the key of the day: who has that can sign until midnight. */
static void
test_wiped(void)
{
	static const char secret[] = "a-secret-that-stands-nowhere-else-in-this-program";
	struct sigv4_keys k = keys;
	pthread_attr_t attr;
	pthread_t thread;

	k.secret = secret;
	pthread_attr_init(&attr);
	check_int(pthread_attr_setstack(&attr, stack, sizeof stack), 0);
	check_int(pthread_create(&thread, &attr, sign_all, &k), 0);
	pthread_join(thread, NULL);
	pthread_attr_destroy(&attr);
	check_int(left_behind((const unsigned char *)secret, sizeof secret - 1), 0);
	check_int(left_behind(day_key, sizeof day_key), 0);
}

int
main(void)
{
	test_wiped();
	test_suite();
	test_s3_examples();
	test_uri_encode();
	test_signing_key();
	test_canonical_fields();
	test_field_limits();
	test_secret_limits();
	test_small_output();
	test_presign_query();
	test_presign_expires();
	return test_end();
}
