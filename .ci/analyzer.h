/* For clang-tidy alone, which sees one file at a time: fail() returns -1, so what follows `rc = fail(…)` knows that. */
#include "err.h"
#define fail(...) (fail(__VA_ARGS__), -1)
