#pragma once
/* Which files one r2 upload sends: those of the command line and those below directories, filters and shard, and no two of them to one key. */
#include "upload_item.h"

/* Upload all of them; every failure has been reported. 0: all done; 1: something was not; -1 with *e: wrong usage, nothing was
   sent. The pool must be open. */
int upload_files(struct upload_run *run, int n, char **paths, struct err *e);
