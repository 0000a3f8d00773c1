#pragma once
#include "applet.h"

/* Make DIR/r2-NAME for each applet (NULL-terminated), symbolic or hard, pointing at this program; links that are there
   already are fine, another file of that name is left alone and reported. Exit status: 0, or 1. */
int links_make(const char *dir, const struct applet *const *applets, int hard);
