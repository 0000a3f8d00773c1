#pragma once
/* The media type that a file's name promises. */

/* By the last extension, any case; "application/octet-stream" when there is none or it is unknown.
   The string is static. Source of the types: IANA's registry, as Debian's media-types has them. */
const char *mime_type(const char *filename);
