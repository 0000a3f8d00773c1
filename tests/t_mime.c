#include "../lib/mime.c"  // NOLINT(bugprone-suspicious-include): to see the table
#include "test.h"

static void
test_names(void)
{
	static const struct { const char *name, *want; } rows[] = {
		{"x.png", "image/png"}, {"X.PNG", "image/png"}, {"/a.b/x.JpEg", "image/jpeg"}, {"a.tar.gz", "application/gzip"},
		{"x.mp4", "video/mp4"}, {"x.webm", "video/webm"}, {"x.wav", "audio/x-wav"}, {"x.7z",
		"application/x-7z-compressed"}, {"x.zst", "application/zstd"}, {"x.json", "application/json"},
		{"x", "application/octet-stream"}, {"x.", "application/octet-stream"}, {"", "application/octet-stream"},
		{"png", "application/octet-stream"}, {"a.png/x", "application/octet-stream"}, {"x.safetensors",
		"application/octet-stream"}, {"x.pngx", "application/octet-stream"}, {"x.pn", "application/octet-stream"},
		{"x.png.part", "application/octet-stream"}, {"x.\xc3\xa9", "application/octet-stream"},
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		check_str(mime_type(rows[i].name), rows[i].want);
}

/* The search needs the order; the arrays must hold their texts with the end. */
static void
test_table(void)
{
	for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
		char name[16];

		check(!i || strcmp(types[i - 1].extension, types[i].extension) < 0);
		check(memchr(types[i].extension, '\0', sizeof types->extension) != NULL);
		check(memchr(types[i].type, '\0', sizeof types->type) != NULL);
		check(strchr(types[i].type, '/') != NULL);
		snprintf(name, sizeof name, "x.%.7s", types[i].extension);
		check_str(mime_type(name), types[i].type);
	}
}

int
main(void)
{
	test_names();
	test_table();
	return test_end();
}
