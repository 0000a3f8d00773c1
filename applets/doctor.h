#pragma once
#include "client.h"

/* r2 upload --test: go through configuration, name, connection, TLS, answer, clock, signature, bucket and rights, say which holds
   and what is wrong with the first that does not. write: then also try what the keys may do, on an object below prefix
   that is deleted again: put, conditional put, multipart, delete. Exit status: 0, or 1. */
int doctor(struct client *c, int write, const char *prefix);
