#pragma once
/* The pool's brake and rate: what each request passes on its way, as hooks of the store. For pool.c alone. */
#include "pool.h"

/* Every request of the store asks p from now on, by its hooks; the brake is open as far as p->max. */
void pool_brake_open(struct pool *p);
/* The store has its own hooks back. */
void pool_brake_close(struct pool *p);

/* With the lock held: wait for c until then (clock_ns) at most. */
void pool_wait_until(struct pool *p, pthread_cond_t *c, int64_t ns);
