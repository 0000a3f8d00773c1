#pragma once
/* The words of XML, on NUL-terminated text that is whole. Only xml.c uses it. */
#include <stddef.h>

int xml_is_space(int c);
const char *xml_skip_space(const char *s);
/* Bytes of the name at s, 0 for none; the plain one stops at a colon, so that it is the prefix, if there is one. */
size_t xml_name_len(const char *s);
size_t xml_plain_name_len(const char *s);
/* What stands between '&' and ';' → the character, -1 when it is none. */
long xml_decode_reference(const char *s, size_t n);
/* Past the attribute at s, NULL when there is no well-formed one. */
const char *xml_skip_attribute(const char *s);
