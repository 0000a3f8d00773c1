/* The power is cut while an object is fetched: whatever the disk has of it then, under the final name there is what was there before, or the
   whole object, and the same command given again brings it, whatever it finds in the temporary file. */
#include "powercut.h"
#include "http_scene.h"
#include "download.h"
#include "hash.h"

enum { SIZE = 150 * 1024 + 77, PART = 40 * 1024 };

static char object[SIZE], got[SIZE + 1];
static const char old[] = "what stood there before";
static char etag[80], piece_etag[80];    /* of the whole; of parts of PART bytes */
static const char *current_etag;

static void
answer(int fd, const char *head, uint64_t from, uint64_t end, int partial)
{
	char reply[512], range[64] = "", parts[64] = "";

	if (partial)
		snprintf(range, sizeof range, "Content-Range: bytes %d-%d/%d\r\n", (int)from, (int)end - 1, SIZE);
	if (strstr(head, "partNumber"))
		snprintf(parts, sizeof parts, "x-amz-mp-parts-count: %d\r\n", (SIZE + PART - 1) / PART);
	snprintf(reply, sizeof reply, "HTTP/1.1 %d OK\r\nContent-Length: %d\r\nETag: \"%s\"\r\nLast-Modified: Mon, 29 Dec 2025 10:00:00 GMT\r\n%s%s\r\n",
		partial ? 206 : 200, (int)(end - from), current_etag, range, parts);
	say(fd, reply);
	if (head[0] == 'G')
		say_n(fd, object + from, end - from);
}

/* One client after the other, each for as long as it stays. */
static void
play_object(struct scene *s)
{
	int fd;

	while ((fd = hear(s)) >= 0) {
		while (read_request(s, fd)) {
			const char *range = strstr(s->head, "ange: bytes=");
			unsigned long from = 0, end = strstr(s->head, "partNumber") ? PART : SIZE;

			if (range && sscanf(range + 12, "%lu-%lu", &from, &end) == 2)
				end++;
			answer(fd, s->head, from, end < SIZE ? end : SIZE, range != NULL);
		}
		close(fd);
	}
}

static struct config cfg = {
	.host = "127.0.0.1", .bucket = "runpod", .region = "auto", .key_id = "k", .secret = "s", .timeout_ms = 20000, .retries = 1,
};
static int finished_well;

static void
finished(struct download *d, const struct err *why)
{
	(void)d;
	finished_well = why == NULL;
	if (why)
		fprintf(stderr, "  %s\n", why->msg);
}

/* r2 get into dir: 1 when it says that all is well. */
static int
fetch(const char *dir)
{
	static struct pool pool;
	static struct download d;
	struct download_options o = {.if_exists = DOWNLOAD_OVERWRITE, .part_size = PART};
	struct s3_store store;

	d = (struct download){.key = "k/name", .rel = "name", .dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), .finished = finished};
	finished_well = 0;
	if (d.dir_fd < 0 || s3_store_open(&store, &cfg, &err) < 0 || pool_open(&pool, &store, 1, 0, &err) < 0)
		return 0;
	download_submit(&pool, &o, &d);
	pool_wait(&pool, 0);
	pool_close(&pool);
	s3_store_close(&store);
	close(d.dir_fd);
	return finished_well;
}

/* What stands there: 1 the object, 0 what was there before, or nothing if nothing was; -1 anything else. */
static int
look(const char *dir, int was_there)
{
	char path[128];
	ssize_t n;
	int fd;

	snprintf(path, sizeof path, "%s/name", dir);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return was_there ? -1 : 0;
	n = read(fd, got, sizeof got);
	close(fd);
	if (n == SIZE && !memcmp(got, object, SIZE))
		return 1;
	return was_there && n == sizeof old && !memcmp(got, old, sizeof old) ? 0 : -1;
}

static int was_there;

static int
good(int mark)
{
	int ok = look(power_after, was_there) >= 0;

	(void)mark;
	check(ok);
	check(fetch(power_after));
	check_int(look(power_after, was_there), 1);
	return ok && finished_well;
}

static void
test_get(int there, const char *tag)
{
	char path[128];
	int fd;

	current_etag = tag;
	was_there = there;
	power_begin();
	if (there) {
		snprintf(path, sizeof path, "%s/name", power_live);
		fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
		check_int(pwrite(fd, old, sizeof old, 0), sizeof old);
		check_int(fsync(fd), 0);
		close(fd);
		fd = open(power_live, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		check_int(fsync(fd), 0);
		close(fd);
	}
	fd = power_n;
	check(fetch(power_live));
	power_record = 0;
	check_int(look(power_live, there), 1);
	power_cuts(good, fd);
}

static void
hex(char *out, struct hash_md5 *m)
{
	unsigned char sum[HASH_MD5_LEN];

	hash_md5_out(m, sum);
	for (int i = 0; i < HASH_MD5_LEN; i++)
		sprintf(out + 2 * i, "%02x", sum[i]);
}

static void
make_etags(void)
{
	struct hash_md5 whole, outer;

	hash_md5_init(&whole);
	hash_md5_init(&outer);
	hash_md5_update(&whole, object, SIZE);
	hex(etag, &whole);
	for (size_t at = 0; at < SIZE; at += PART) {
		unsigned char sum[HASH_MD5_LEN];
		struct hash_md5 part;

		hash_md5_init(&part);
		hash_md5_update(&part, object + at, SIZE - at < PART ? SIZE - at : PART);
		hash_md5_out(&part, sum);
		hash_md5_update(&outer, sum, sizeof sum);
	}
	hex(piece_etag, &outer);
	sprintf(piece_etag + 32, "-%d", (SIZE + PART - 1) / PART);
}

int
main(void)
{
	for (size_t i = 0; i < SIZE; i++)
		object[i] = (char)(i * 31 + i / 251 + 1);
	make_etags();
	scene_open(&scene, play_object);
	cfg.port = scene.port;
	snprintf(cfg.host_field, sizeof cfg.host_field, "127.0.0.1:%d", scene.port);
	test_get(0, etag);
	test_get(1, piece_etag);
	scene_close(&scene);
	printf("%d states of the disk\n", power_states);
	power_end();
	return test_end();
}
