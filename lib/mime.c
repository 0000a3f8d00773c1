#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "mime.h"
#include "path.h"

/* Arrays, not pointers: a pointer would cost a relocation each in a position-independent binary. */
struct type {
	char extension[8];
	char type[28];
};

/* Sorted by extension. */
static const struct type types[] = {
	{"7z", "application/x-7z-compressed"},
	{"aac", "audio/aac"},
	{"avi", "video/x-msvideo"},
	{"avif", "image/avif"},
	{"bmp", "image/bmp"},
	{"bz2", "application/x-bzip2"},
	{"css", "text/css"},
	{"csv", "text/csv"},
	{"exr", "image/aces"},
	{"flac", "audio/flac"},
	{"gif", "image/gif"},
	{"glb", "model/gltf-binary"},
	{"gltf", "model/gltf+json"},
	{"gz", "application/gzip"},
	{"hdr", "image/vnd.radiance"},
	{"heic", "image/heic"},
	{"heif", "image/heif"},
	{"htm", "text/html"},
	{"html", "text/html"},
	{"ico", "image/vnd.microsoft.icon"},
	{"jpeg", "image/jpeg"},
	{"jpg", "image/jpeg"},
	{"js", "text/javascript"},
	{"json", "application/json"},
	{"jsonl", "application/jsonl"},
	{"jxl", "image/jxl"},
	{"log", "text/plain"},
	{"m4a", "audio/mp4"},
	{"m4v", "video/mp4"},
	{"md", "text/markdown"},
	{"mjs", "text/javascript"},
	{"mkv", "video/x-matroska"},
	{"mov", "video/quicktime"},
	{"mp3", "audio/mpeg"},
	{"mp4", "video/mp4"},
	{"mpeg", "video/mpeg"},
	{"mpg", "video/mpeg"},
	{"obj", "model/obj"},
	{"oga", "audio/ogg"},
	{"ogg", "audio/ogg"},
	{"ogv", "video/ogg"},
	{"opus", "audio/ogg"},
	{"otf", "font/otf"},
	{"pdf", "application/pdf"},
	{"png", "image/png"},
	{"psd", "image/vnd.adobe.photoshop"},
	{"rar", "application/vnd.rar"},
	{"srt", "text/plain"},
	{"stl", "model/stl"},
	{"svg", "image/svg+xml"},
	{"tar", "application/x-tar"},
	{"tgz", "application/gzip"},
	{"tif", "image/tiff"},
	{"tiff", "image/tiff"},
	{"toml", "application/toml"},
	{"ts", "video/mp2t"},
	{"tsv", "text/tab-separated-values"},
	{"ttf", "font/ttf"},
	{"txt", "text/plain"},
	{"vtt", "text/vtt"},
	{"wasm", "application/wasm"},
	{"wav", "audio/x-wav"},
	{"webm", "video/webm"},
	{"webp", "image/webp"},
	{"woff", "font/woff"},
	{"woff2", "font/woff2"},
	{"xml", "application/xml"},
	{"xz", "application/x-xz"},
	{"yaml", "application/yaml"},
	{"yml", "application/yaml"},
	{"zip", "application/zip"},
	{"zst", "application/zstd"},
};

static int
compare(const void *extension, const void *type)
{
	return strcasecmp(extension, ((const struct type *)type)->extension);
}

const char *
mime_type(const char *filename)
{
	const char *dot = strrchr(path_base(filename), '.');
	const struct type *t = NULL;

	if (dot)
		t = bsearch(dot + 1, types, sizeof types / sizeof *types, sizeof *types, compare);
	return t ? t->type : "application/octet-stream";
}
