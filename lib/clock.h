#pragma once
/* How long things take: a clock that nobody sets (CLOCK_MONOTONIC). What is pure has the time passed in instead. */
#include <stdint.h>

int64_t clock_ns(void);
int64_t clock_ms(void);
