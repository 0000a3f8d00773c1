#pragma once
/* A streaming reader for the XML that S3 servers send: elements and text, fed in any split. Namespaces'
   prefixes are dropped, attributes checked and dropped. DOCTYPE is refused, so there are no entities but the
   five predefined and character references. */
#include <stddef.h>
#include "err.h"

enum {
	XML_DEPTH_MAX = 16,
	XML_PATH_MAX = 256,     /* bytes of "Root/Contents/Key" */
	XML_TEXT_MAX = 8192,    /* bytes of one element's text, entities decoded */
	XML_MARKUP_MAX = 4096,  /* bytes of one tag, comment, reference or declaration */
};

struct xml {
	/* Called at each end tag with the element's path without the root ("Contents/Key"; "" for the root
	   itself) and its own text (children's text not included; NUL-terminated, though a reference may have put
	   control characters into it). White space alone beside child elements is layout and not told.
	   Not 0: stop, xml_feed fails with what it put in *e. */
	int (*element)(void *arg, const char *path, const char *text, size_t len, struct err *e);
	void *arg;
	/* xml.c's from here on; zero at the start. */
	int state, depth, seen_root, sub;
	int utf8_more, utf8_low, utf8_high;  /* continuation bytes to come, and the range of the next one */
	unsigned parents;                    /* bit d: the open element number d has children */
	size_t path_len, local_len, text_len, markup_len;
	size_t name_at[XML_DEPTH_MAX];   /* where each open element's name begins in path */
	size_t text_at[XML_DEPTH_MAX];   /* where each open element's text begins in text */
	size_t local_at[XML_DEPTH_MAX];  /* how long local was before each open element */
	char local[XML_PATH_MAX + 1];    /* the path that is told */
	char path[XML_PATH_MAX + 1];     /* names as written, prefixes included: an end tag must repeat them. At the end it begins with the root's */
	char text[XML_TEXT_MAX + 1];
	char markup[XML_MARKUP_MAX + 1];
};

/* n more bytes: 0, or -1 (ERR_PROTO with what is wrong). The events do not depend on how the input is split.
   After an error every further call fails too. */
int xml_feed(struct xml *x, const char *p, size_t n, struct err *e);
/* The end of input: 0 when exactly one whole document was fed, else -1 (ERR_PROTO). */
int xml_end(struct xml *x, struct err *e);
