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

/* Each extension stands once, in front of its type. */
static void
test_table(void)
{
	const char *type;

	for (const char *extension = types; *extension; extension = strchr(type, '\0') + 1) {
		char name[16];

		type = strchr(extension, '\0') + 1;
		check(strchr(type, '/') && !strchr(extension, '/'));
		snprintf(name, sizeof name, "x.%s", extension);
		check(mime_type(name) == type);
	}
}

int
main(void)
{
	test_names();
	test_table();
	return test_end();
}
