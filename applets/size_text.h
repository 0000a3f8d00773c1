#pragma once
#include <stdint.h>

/* n bytes as aws s3 ls --human-readable writes them, byte for byte: "1 Byte", "17 Bytes", "2.5 MiB". Returns out. */
enum { SIZE_TEXT_CAP = 24 };
const char *size_text(uint64_t n, char out[SIZE_TEXT_CAP]);

/* As the scripts logged it: "%.2f MB". */
static inline double
size_mib(uint64_t n)
{
	return (double)n / 1048576;
}
