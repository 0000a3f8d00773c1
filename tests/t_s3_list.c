/* Listings of objects and of uploads, page after page, from a scripted server: what is asked for, what comes back, and what no
   server may make of it: an endless listing, one that goes back, a key from elsewhere. */
#include "http_scene.h"
#include "s3.h"

static const char *const *pages;   /* NULL at the end; the last one is sent for ever */
static char asked[65536];          /* the requests' targets, one a line */
static char rows[65536];           /* what the callback was told */

static void
answer(int fd, const char *page)
{
	char head[128];

	snprintf(head, sizeof head, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n", strlen(page));
	say(fd, head);
	say(fd, page);
}

static void
play_pages(struct scene *s)
{
	int fd = hear(s);

	if (fd < 0)
		return;
	for (int i = 0; read_request(s, fd); i += pages[i + 1] != NULL) {
		if (strlen(asked) < sizeof asked - 4096)
			strncat(asked, s->head + 4, strcspn(s->head + 4, " "));
		strcat(asked, "\n");
		answer(fd, pages[i]);
	}
	hang_up(fd);
}

static int
note(void *arg, const struct s3_entry *x, struct err *e)
{
	struct buf b = {rows, strlen(rows), sizeof rows, 0};

	(void)arg, (void)e;
	buf_fmt(&b, "%s%s", x->is_prefix ? "/" : "", x->key);
	if (*x->upload_id)
		buf_fmt(&b, " %s %lld", x->upload_id, (long long)x->modified);
	buf_char(&b, '\n');
	return 0;
}

/* List below prefix from these pages: 0 or -1, with requests and rows as text above. */
static int
list(const char *const *from, const char *prefix, int uploads)
{
	static struct config cfg = {
		.host = "127.0.0.1", .bucket = "runpod", .region = "auto", .key_id = "k", .secret = "s", .timeout_ms = 20000, .retries = 1,
	};
	struct s3_list l = {.prefix = prefix, .entry = note};
	struct s3_store store;
	struct s3 s = {0};
	int rc;

	pages = from;
	asked[0] = rows[0] = '\0';
	err = (struct err){0};
	scene_open(&scene, play_pages);
	cfg.port = scene.port;
	snprintf(cfg.host_field, sizeof cfg.host_field, "127.0.0.1:%d", scene.port);
	if (s3_store_open(&store, &cfg, &err) < 0)
		return -1;
	s3_open(&s, &store);
	rc = uploads ? s3_list_uploads(&s, &l, &err) : s3_list(&s, &l, &err);
	s3_close(&s);
	s3_store_close(&store);
	scene_close(&scene);
	return rc;
}

#define PAGES(...) ((const char *const[]){__VA_ARGS__, NULL})
#define OBJECTS(x) "<ListBucketResult>" x "</ListBucketResult>"
#define KEY(k) "<Contents><Key>" k "</Key><LastModified>2025-12-29T10:00:00.000Z</LastModified><Size>5</Size></Contents>"
#define FOLDER(k) "<CommonPrefixes><Prefix>" k "</Prefix></CommonPrefixes>"
#define MORE(t) "<IsTruncated>true</IsTruncated><NextContinuationToken>" t "</NextContinuationToken>"
#define UPLOADS(x) "<ListMultipartUploadsResult>" x "</ListMultipartUploadsResult>"
#define UPLOAD(k, id) "<Upload><Key>" k "</Key><UploadId>" id "</UploadId><Initiator><ID>u</ID></Initiator>" \
	"<StorageClass>STANDARD</StorageClass><Initiated>2025-12-29T10:00:00.000Z</Initiated></Upload>"
#define MORE_UPLOADS(k, id) "<IsTruncated>true</IsTruncated><NextKeyMarker>" k "</NextKeyMarker>" \
	"<NextUploadIdMarker>" id "</NextUploadIdMarker>"

static void
test_objects(void)
{
	check_int(list(PAGES(OBJECTS(MORE("t/1") KEY("p/b") FOLDER("p/a/") KEY("p/c")), OBJECTS(MORE("t2")),
		OBJECTS(KEY("p/d"))), "p/", 0), 0);
	check_str(asked, "/runpod?encoding-type=url&list-type=2&prefix=p%2F\n"
		"/runpod?continuation-token=t%2F1&encoding-type=url&list-type=2&prefix=p%2F\n"
		"/runpod?continuation-token=t2&encoding-type=url&list-type=2&prefix=p%2F\n");
	check_str(rows, "/p/a/\np/b\np/c\np/d\n");
	/* R2 sorts by NFC and shows the form that was uploaded: e with an accent behind it, behind z. */
	check_int(list(PAGES(OBJECTS(MORE("1") KEY("z")), OBJECTS(KEY("e\xcc\x81"))), "", 0), 0);
	check_str(asked, "/runpod?encoding-type=url&list-type=2\n/runpod?continuation-token=1&encoding-type=url&list-type=2\n");
	check_str(rows, "z\ne\xcc\x81\n");
}

#define LONG64 "0123456789012345678901234567890123456789012345678901234567890123"
#define LONG512 LONG64 LONG64 LONG64 LONG64 LONG64 LONG64 LONG64 LONG64
#define NFC "\xc3\xa9"      /* é */
#define NFD "e\xcc\x81"

/* What R2 lists in the spelling it was uploaded with is below the prefix in the one that was asked for. */
static void
test_spelling(void)
{
	char page[2048];

	check_int(list(PAGES(OBJECTS(KEY("p/" NFC "/" NFD) KEY("p/" NFD "/a" NFD) FOLDER("p/" NFD "/b/"))), "p/" NFC "/", 0), 0);
	check_str(rows, "/p/" NFC "/b/\np/" NFC "/" NFD "\np/" NFC "/a" NFD "\n");
	check_int(list(PAGES(OBJECTS(KEY("p/" NFC) KEY("p/" NFC "/x"))), "p/" NFD, 0), 0);
	check_str(rows, "p/" NFD "\np/" NFD "/x\n");
	check_int(list(PAGES(OBJECTS("<EncodingType>url</EncodingType>" KEY("p/e%CC%81/%2B"))), "p/" NFC "/", 0), 0);
	check_str(rows, "p/" NFC "/+\n");
	check_int(list(PAGES(UPLOADS(UPLOAD("p/" NFD "/a", "id"))), "p/" NFC "/", 1), 0);
	check_str(rows, "p/" NFC "/a id 1767002400\n");
	check_int(list(PAGES(OBJECTS(KEY("p/e/a"))), "p/" NFC "/", 0), -1);
	check(strstr(err.msg, "not below \"p/" NFC "/\"") != NULL);
	check_int(list(PAGES(OBJECTS(KEY("p/" NFD))), "p/" NFC "/", 0), -1);
	/* Not when it would be longer than a key. */
	snprintf(page, sizeof page, OBJECTS(KEY("%s%.1021s")), NFC, LONG512 LONG512);
	check_int(list(PAGES(page), NFD, 0), 0);
	snprintf(page, sizeof page, OBJECTS(KEY("%s%.1022s")), NFC, LONG512 LONG512);
	check_int(list(PAGES(page), NFD, 0), -1);
}

static void
test_uploads(void)
{
	check_int(list(PAGES(
		UPLOADS("<EncodingType>url</EncodingType>" MORE_UPLOADS("p/a%2Bb", "id1") UPLOAD("p/a%2Bb", "id1")),
		UPLOADS("<EncodingType>url</EncodingType>" MORE_UPLOADS("p/a%2Bb", "id0") UPLOAD("p/a%2Bb", "id0")),
		UPLOADS("<NextKeyMarker></NextKeyMarker><IsTruncated>false</IsTruncated>" UPLOAD("p/a", "id2"))), "p/", 1), 0);
	check_str(asked, "/runpod?prefix=p%2F&uploads=\n"
		"/runpod?key-marker=p%2Fa%2Bb&prefix=p%2F&upload-id-marker=id1&uploads=\n"
		"/runpod?key-marker=p%2Fa%2Bb&prefix=p%2F&upload-id-marker=id0&uploads=\n");
	check_str(rows, "p/a+b id1 1767002400\np/a+b id0 1767002400\np/a id2 1767002400\n");
	check_int(list(PAGES(UPLOADS(MORE_UPLOADS("k", "") UPLOAD("k", "i")), UPLOADS(UPLOAD("l", "i"))), "", 1), 0);
	check_str(asked, "/runpod?uploads=\n/runpod?key-marker=k&uploads=\n");
}

/* Namespaces' prefixes, and how a boolean may be written. */
static void
test_forms(void)
{
	static const char *const yes[] = {"true", "1", "True", "TRUE", " true", "\n true\n"}, *const no[] = {"false", "0", "", "False", " "};
	char page[512];

	check_int(list(PAGES("<s3:ListBucketResult xmlns:s3='urn:x'><s3:Contents><s3:Key>p/a</s3:Key></s3:Contents></s3:ListBucketResult>"), "p/", 0), 0);
	check_str(rows, "p/a\n");
	for (size_t i = 0; i < sizeof yes / sizeof *yes; i++) {
		snprintf(page, sizeof page, OBJECTS("<IsTruncated>%s</IsTruncated><NextContinuationToken>t</NextContinuationToken>" KEY("p/a")), yes[i]);
		check_int(list(PAGES(page, OBJECTS(KEY("p/b"))), "p/", 0), 0);
		check_str(rows, "p/a\np/b\n");
	}
	for (size_t i = 0; i < sizeof no / sizeof *no; i++) {
		snprintf(page, sizeof page, OBJECTS("<IsTruncated>%s</IsTruncated><NextContinuationToken>t</NextContinuationToken>" KEY("p/a")), no[i]);
		check_int(list(PAGES(page, OBJECTS(KEY("p/b"))), "p/", 0), 0);
		check_str(rows, "p/a\n");
	}
}

static void
refused(const char *const *from, int uploads, int requests, const char *why)
{
	int n = 0;

	check_int(list(from, "p/", uploads), -1);
	check_int(err.kind, ERR_PROTO);
	check(strstr(err.msg, why) != NULL);
	if (!strstr(err.msg, why))
		fprintf(stderr, "  got: %s\n  want: %s\n", err.msg, why);
	for (const char *p = asked; (p = strchr(p, '\n')); p++)
		n++;
	check_int(n, requests);
}

static void
test_endless(void)
{
	const char *a = OBJECTS(MORE("a") KEY("p/\xc3\xa9")), *b = OBJECTS(MORE("b") KEY("p/\xc3\xa8"));

	refused(PAGES(OBJECTS("<IsTruncated>true</IsTruncated>" KEY("p/a"))), 0, 1, "not how to ask for it");
	refused(PAGES(OBJECTS(MORE("t") KEY("p/a")), OBJECTS(MORE("t") KEY("p/b"))), 0, 2, "same page again");
	refused(PAGES(OBJECTS(MORE("1") KEY("p/b") KEY("p/c")), OBJECTS(MORE("2") KEY("p/a") KEY("p/d"))), 0, 2, "goes back");
	check_str(rows, "p/b\np/c\n");
	refused(PAGES(OBJECTS(MORE("1") KEY("p/b")), OBJECTS(KEY("p/b"))), 0, 2, "goes back");
	refused(PAGES(OBJECTS(MORE("1") KEY("p/b") FOLDER("p/c/")), OBJECTS(FOLDER("p/a/") FOLDER("p/d/"))), 0, 2, "goes back");
	/* A prefix may come again, and is told once; but not for ever. */
	check_int(list(PAGES(OBJECTS(MORE("1") KEY("p/b") FOLDER("p/c/")), OBJECTS(FOLDER("p/c/") KEY("p/d") FOLDER("p/e/"))), "p/", 0), 0);
	check_str(rows, "/p/c/\np/b\n/p/e/\np/d\n");
	refused(PAGES(OBJECTS(MORE("1") FOLDER("p/c/")), OBJECTS(MORE("2") FOLDER("p/c/"))), 0, 2, "same pages again");
	/* A circle of pages whose order nobody knows. */
	refused(PAGES(a, b, a, b, a, b, a), 0, 4, "same pages again");
	refused(PAGES(OBJECTS(MORE("x")), OBJECTS(MORE("y")), OBJECTS(MORE("x")), OBJECTS(MORE("y"))), 0, 4, "same pages again");
	refused(PAGES(UPLOADS("<IsTruncated>true</IsTruncated>" UPLOAD("p/a", "i"))), 1, 1, "not how to ask for it");
	refused(PAGES(UPLOADS(MORE_UPLOADS("p/a", "i") UPLOAD("p/a", "i")), UPLOADS(MORE_UPLOADS("p/a", "i") UPLOAD("p/b", "i"))),
		1, 2, "same page again");
	refused(PAGES(UPLOADS(MORE_UPLOADS("p/a", "i") UPLOAD("p/a", "i")), UPLOADS(MORE_UPLOADS("p/a", "j") UPLOAD("p/a", "i"))),
		1, 2, "same pages again");
}

/* The promise of more, always another one, and nothing ever comes: up to a thousand pages, as a server that passes over what has
   been deleted may need. */
static void
test_empty(void)
{
	static const char *many[1003];
	static char page[1002][128];

	for (int i = 0; i < 1002; i++) {
		snprintf(page[i], sizeof page[i], OBJECTS(MORE("t%d")), i);
		many[i] = page[i];
	}
	refused(many, 0, 1001, "same pages again");
	many[1000] = OBJECTS(KEY("p/a"));
	check_int(list(many, "p/", 0), 0);
	check_str(rows, "p/a\n");
}

static void
test_from_elsewhere(void)
{
	refused(PAGES(OBJECTS(KEY("q/a"))), 0, 1, "not below \"p/\"");
	refused(PAGES(OBJECTS(KEY("p"))), 0, 1, "not below");
	refused(PAGES(OBJECTS(FOLDER("q/"))), 0, 1, "not below");
	refused(PAGES(OBJECTS(KEY(""))), 0, 1, "cannot be read");
	refused(PAGES(OBJECTS("<Contents><Size>5</Size></Contents>")), 0, 1, "cannot be read");
	refused(PAGES(OBJECTS("<EncodingType>url</EncodingType>" KEY("p/a%00b"))), 0, 1, "cannot be read");
	refused(PAGES(OBJECTS("<EncodingType>url</EncodingType>" KEY("p/a%zz"))), 0, 1, "cannot be read");
	refused(PAGES(OBJECTS(KEY("p/" LONG512 LONG512))), 0, 1, "cannot be read");
	check_int(list(PAGES(OBJECTS(KEY(LONG512 LONG512))), "", 0), 0);
	refused(PAGES(UPLOADS(UPLOAD("q", "i"))), 1, 1, "not below");
	refused(PAGES(UPLOADS(UPLOAD("p/a", ""))), 1, 1, "without an id");
	refused(PAGES(UPLOADS(UPLOAD("p/a", LONG512 LONG512))), 1, 1, "without an id");
	refused(PAGES(UPLOADS("<EncodingType>url</EncodingType>" MORE_UPLOADS("p/%0", "i") UPLOAD("p/a", "i"))), 1, 1, "cannot be read");
	refused(PAGES("<ListVersionsResult/>"), 0, 1, "answer is no <List");
	refused(PAGES("<s3:Bucket/>"), 0, 1, "answer is no <ListBucketResult>");
	refused(PAGES("<x><ListBucketResult/></x>"), 0, 1, "answer is no <ListBucketResult>");
	refused(PAGES("<html/>"), 0, 1, "answer is no <List");
	refused(PAGES(UPLOADS("")), 0, 1, "answer is no <List");
	refused(PAGES(OBJECTS("")), 1, 1, "answer is no <List");
	/* Rows of the other kind are no rows. */
	check_int(list(PAGES(OBJECTS(UPLOAD("p/a", "i"))), "p/", 0), 0);
	check_str(rows, "");
	check_int(list(PAGES(UPLOADS(KEY("p/a"))), "p/", 1), 0);
	check_str(rows, "");
}

/* A list of n rows, each with a class of so many bytes: memory from malloc. */
static char *
large_page(int n, int width)
{
	size_t cap = 64 + (size_t)n * ((size_t)width + 96);
	char *page = malloc(cap), *p = page;

	if (!page)
		abort();
	p += sprintf(p, "<ListBucketResult>");
	for (int i = 0; i < n; i++)
		p += sprintf(p, "<Contents><Key>p/%06d</Key><StorageClass>%0*d</StorageClass></Contents>", i, width, 0);
	sprintf(p, "</ListBucketResult>");
	return page;
}

/* What a page may be, so that no server decides how much memory we take. */
static void
test_limits(void)
{
	char *many = large_page(10001, 1), *just = large_page(10000, 1), *large = large_page(9000, 3900);

	check_int(list(PAGES(just), "p/", 0), 0);
	refused(PAGES(many), 0, 1, "more than 10000 keys");
	refused(PAGES(large), 0, 1, "larger than 4 MiB");
	free(many);
	free(just);
	free(large);
}

static void
test_malformed(void)
{
	static const char *const sizes[] = {"", "-1", "5 ", "0x5", "99999999999999999999", "five"};
	char page[256];

	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		snprintf(page, sizeof page, OBJECTS("<Contents><Key>p/a</Key><Size>%s</Size></Contents>"), sizes[i]);
		refused(PAGES(page), 0, 1, "is no size");
	}
	refused(PAGES(OBJECTS("<Contents><Key>p/a</Key><LastModified>yesterday</LastModified></Contents>")), 0, 1, "is no time");
	refused(PAGES(UPLOADS("<Upload><Key>p/a</Key><UploadId>i</UploadId><Initiated>2025-13-29T10:00:00.000Z</Initiated></Upload>")), 1, 1,
		"is no time");
	refused(PAGES(OBJECTS(MORE(LONG512 LONG512 LONG512 LONG512 LONG512 LONG512 LONG512 LONG512 LONG512) KEY("p/a"))), 0, 1,
		"mark of the next page is too long");
	refused(PAGES(UPLOADS(MORE_UPLOADS("p/a", LONG512 LONG512 LONG512) UPLOAD("p/a", "i"))), 1, 1, "mark of the next page is too long");
}

int
main(void)
{
	test_objects();
	test_spelling();
	test_forms();
	test_limits();
	test_malformed();
	test_uploads();
	test_endless();
	test_empty();
	test_from_elsewhere();
	return test_end();
}
