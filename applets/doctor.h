#pragma once
#include "client.h"

/* r2 upload --test: go through configuration, name, connection, TLS, signature, bucket and rights, say which holds
   and what is wrong with the first that does not. Exit status: 0, or 1. */
int doctor(struct client *c);
