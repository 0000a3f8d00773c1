#pragma once

/* Make DIR/r2-NAME for each name (NULL-terminated), symbolic or hard, pointing at this program; links that are there
   already are fine, another file of that name is left alone and reported. Exit status: 0, or 1. */
int links_make(const char *dir, const char *const *names, int hard);
