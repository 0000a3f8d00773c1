#pragma once
/* How long things take: a clock that nobody sets (CLOCK_MONOTONIC). What is pure has the time passed in instead. */
#include <stdint.h>

int64_t clock_ns(void);
int64_t clock_ms(void);
/* The earlier of two points in time, -1 being never. */
int64_t clock_sooner(int64_t a, int64_t b);
/* Wait so long, signals or not: 0. arg is of no use: the shape is that of s3_store's pause, which may end it. */
int clock_pause(void *arg, int ms);
/* A random number, for waits that others like us must not begin or end with us at the same moment; of no use for secrets. */
uint32_t clock_jitter(void);
