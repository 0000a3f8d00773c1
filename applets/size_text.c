#include <stdio.h>
#include "size_text.h"

/* Half to even, as Python's "%.1f" does with a tie that is exact. */
static uint64_t
tenths(uint64_t n, uint64_t unit)
{
	uint64_t rest = n % unit * 10, t = n / unit * 10 + rest / unit;

	rest %= unit;
	return t + (rest > unit / 2 || (rest == unit / 2 && t % 2));
}

const char *
size_text(uint64_t n, char out[SIZE_TEXT_CAP])
{
	uint64_t unit = 1024, t;
	const char *letter = "KMGTPE";

	if (n < unit) {
		snprintf(out, SIZE_TEXT_CAP, n == 1 ? "%u Byte" : "%u Bytes", (unsigned)n);
		return out;
	}
	/* The next unit as soon as this one would be rounded to 1024. */
	for (; n >= unit * 1023 + unit / 2 && letter[1]; letter++)
		unit *= 1024;
	t = tenths(n, unit);
	snprintf(out, SIZE_TEXT_CAP, "%u.%u %ciB", (unsigned)(t / 10), (unsigned)(t % 10), *letter);
	return out;
}
