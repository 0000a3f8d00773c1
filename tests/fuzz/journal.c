/* The journal: any file is loaded or cut; what was written before a damage is read back, in order, and what is written then stands behind it. */
#include "disk.h"
#include "hash.h"
#include "journal.h"

enum { RECORDS = 40, FILE_MAX_BYTES = 1 << 16 };

/* The parts that a load told. */
struct told {
	size_t n;
	unsigned number[4096];
	uint64_t log;
};

static void
part(void *arg, unsigned number, const char *note)
{
	struct told *t = arg;

	must(strlen(note) < JOURNAL_NOTE_MAX);
	if (t->n < 4096)
		t->number[t->n] = number;
	t->n++;
	t->log = mix(mix(t->log, &number, sizeof number), note, strlen(note));
}

static void
load(struct journal *j, struct journal_text *t, struct told *told)
{
	char path[128];
	struct err e = {0};

	disk_path(path);
	memset(told, 0, sizeof *told);
	must(journal_open(j, path, &e) == 0);
	must(journal_load(j, t, part, told, &e) == 0);
	must(memchr(t->identity, '\0', sizeof t->identity) && memchr(t->token, '\0', sizeof t->token));
}

/* Loaded twice it says the same; a part added is the last of the next load, and takes none away. */
static void
load_any(void)
{
	static struct journal_text t, t2;
	static struct told a, b;
	struct journal j;
	struct err e = {0};

	load(&j, &t, &a);
	journal_close(&j);
	load(&j, &t2, &b);
	must(!memcmp(&a, &b, sizeof a) && !strcmp(t.identity, t2.identity) && !strcmp(t.token, t2.token));
	if (j.end == 0)
		must(journal_begin(&j, t.identity, "token", &e) == 0);
	must(journal_part(&j, 77, "note %\n", &e) == 0);
	journal_close(&j);
	load(&j, &t2, &b);
	must(b.n == a.n + 1 && (b.n > 4096 || b.number[a.n] == 77) && !strcmp(t.identity, t2.identity));
	for (size_t i = 0; i < a.n && i < 4096; i++)
		must(a.number[i] == b.number[i]);
	journal_remove(&j);
}

/* Lines whose checksum is right, so that what is behind it is reached. */
static void
sound_lines(struct in *in)
{
	static char text[10 * FILE_MAX_BYTES];
	struct buf b = BUF(text);

	while (in->n) {
		size_t n;
		char *line = take_until(in, '\n', &n);

		buf_fmt(&b, "%08x ", (unsigned)hash_crc32c(0, line, n));
		buf_put(&b, line, n);
		buf_char(&b, '\n');
		free(line);
	}
	disk_put(text, b.len);
	load_any();
}

/* Records of ours, then a cut or a flipped byte: all records before it are there, and none that never was. */
static void
damage(struct in *in)
{
	static unsigned char file[FILE_MAX_BYTES];
	static struct journal_text t;
	static struct told whole, rest;
	struct journal j;
	struct err e = {0};
	unsigned how = take_byte(in);
	size_t at = take_below(in, 65536), n;
	char *identity = take_string(in), *token = take_string(in);

	load(&j, &t, &whole);
	must(!whole.n && !*t.identity);
	if (journal_begin(&j, identity, token, &e) == 0)
		for (int i = 0; in->n && i < RECORDS; i++) {
			char *note = take_string(in);

			if (journal_part(&j, (unsigned)i * 1000003u, note, &e) < 0)
				must_be_message(&e);
			free(note);
		}
	journal_close(&j);
	n = disk_get(file, sizeof file);
	if (n) {
		load(&j, &t, &whole);
		must(!strcmp(t.identity, identity) && !strcmp(t.token, token));
		journal_remove(&j);
		at %= n;
		if (how & 1)
			file[at] ^= (unsigned char)(how | 2);
		disk_put(file, how & 1 ? n : at);
		load(&j, &t, &rest);
		must(rest.n <= whole.n);
		for (size_t i = 0; i < rest.n; i++)
			must(rest.number[i] == whole.number[i]);
		must(!*t.identity || (!strcmp(t.identity, identity) && !strcmp(t.token, token)));
		must((size_t)j.end <= at);
		journal_remove(&j);
	}
	free(identity);
	free(token);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct in in = {data, size};
	unsigned mode = take_byte(&in);
	char path[128];

	if (size > FILE_MAX_BYTES - 1024)
		return 0;
	disk_path(path);
	unlink(path);
	switch (mode % 3) {
	case 0:
		disk_put(in.p, in.n);
		load_any();
		break;
	case 1:
		sound_lines(&in);
		break;
	default:
		damage(&in);
	}
	unlink(path);
	return 0;
}
