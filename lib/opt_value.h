#pragma once
/* For opt.c and opt_value.c only. */
#include "opt.h"

enum { OPT_CALLED_CAP = 64 };

/* What a message calls the option: "--name", or "-x" when it has a letter only. Returns out. */
const char *opt_called(const struct opt *o, char out[OPT_CALLED_CAP]);
