#include <string.h>
#include <strings.h>
#include "mime.h"
#include "path.h"

/* Extension and type, each ended by NUL: as pointers they would cost a relocation each in a position-independent binary. */
static const char types[] =
	"7z\0" "application/x-7z-compressed\0"
	"aac\0" "audio/aac\0"
	"avi\0" "video/x-msvideo\0"
	"avif\0" "image/avif\0"
	"bmp\0" "image/bmp\0"
	"bz2\0" "application/x-bzip2\0"
	"css\0" "text/css\0"
	"csv\0" "text/csv\0"
	"exr\0" "image/aces\0"
	"flac\0" "audio/flac\0"
	"gif\0" "image/gif\0"
	"glb\0" "model/gltf-binary\0"
	"gltf\0" "model/gltf+json\0"
	"gz\0" "application/gzip\0"
	"hdr\0" "image/vnd.radiance\0"
	"heic\0" "image/heic\0"
	"heif\0" "image/heif\0"
	"htm\0" "text/html\0"
	"html\0" "text/html\0"
	"ico\0" "image/vnd.microsoft.icon\0"
	"jpeg\0" "image/jpeg\0"
	"jpg\0" "image/jpeg\0"
	"js\0" "text/javascript\0"
	"json\0" "application/json\0"
	"jsonl\0" "application/jsonl\0"
	"jxl\0" "image/jxl\0"
	"log\0" "text/plain\0"
	"m4a\0" "audio/mp4\0"
	"m4v\0" "video/mp4\0"
	"md\0" "text/markdown\0"
	"mjs\0" "text/javascript\0"
	"mkv\0" "video/x-matroska\0"
	"mov\0" "video/quicktime\0"
	"mp3\0" "audio/mpeg\0"
	"mp4\0" "video/mp4\0"
	"mpeg\0" "video/mpeg\0"
	"mpg\0" "video/mpeg\0"
	"obj\0" "model/obj\0"
	"oga\0" "audio/ogg\0"
	"ogg\0" "audio/ogg\0"
	"ogv\0" "video/ogg\0"
	"opus\0" "audio/ogg\0"
	"otf\0" "font/otf\0"
	"pdf\0" "application/pdf\0"
	"png\0" "image/png\0"
	"psd\0" "image/vnd.adobe.photoshop\0"
	"rar\0" "application/vnd.rar\0"
	"srt\0" "text/plain\0"
	"stl\0" "model/stl\0"
	"svg\0" "image/svg+xml\0"
	"tar\0" "application/x-tar\0"
	"tgz\0" "application/gzip\0"
	"tif\0" "image/tiff\0"
	"tiff\0" "image/tiff\0"
	"toml\0" "application/toml\0"
	"ts\0" "video/mp2t\0"
	"tsv\0" "text/tab-separated-values\0"
	"ttf\0" "font/ttf\0"
	"txt\0" "text/plain\0"
	"vtt\0" "text/vtt\0"
	"wasm\0" "application/wasm\0"
	"wav\0" "audio/x-wav\0"
	"webm\0" "video/webm\0"
	"webp\0" "image/webp\0"
	"woff\0" "font/woff\0"
	"woff2\0" "font/woff2\0"
	"xml\0" "application/xml\0"
	"xz\0" "application/x-xz\0"
	"yaml\0" "application/yaml\0"
	"yml\0" "application/yaml\0"
	"zip\0" "application/zip\0"
	"zst\0" "application/zstd\0";

const char *
mime_type(const char *filename)
{
	const char *dot = strrchr(path_base(filename), '.'), *t = types;

	while (*t && dot && strcasecmp(dot + 1, t) != 0) {
		t = strchr(t, '\0') + 1;
		t = strchr(t, '\0') + 1;
	}
	return *t && dot ? strchr(t, '\0') + 1 : "application/octet-stream";
}
