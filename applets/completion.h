#pragma once
#include "applet.h"

/* r2 --completion SHELL: the script that makes bash, zsh or fish ask back; exit status.
   r2 --completion SHELL WORD...: that question. The words are the command line up to the cursor, the last one perhaps
   empty; one candidate a line, with its explanation where SHELL shows one. 1: there is none, a file's name may fit.
   own: r2's own options; applets end with NULL. */
int completion(const struct applet *const *applets, const struct opt *own, int argc, char **argv);
