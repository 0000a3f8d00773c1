#include <stdio.h>
#include "licenses.h"

static const char text[] =
	"r2 comes under the MIT License, which stands below.\n"
	"  Copyright (c) 2025 The r2box authors\n"
	"In it are\n"
	"BearSSL 0.6, MIT License\n"
	"  Copyright (c) 2016 Thomas Pornin <pornin@bolet.org>\n"
	"musl libc, MIT License; its parts from elsewhere: COPYRIGHT in its source\n"
	"  Copyright (c) 2005-2020 Rich Felker, et al.\n"
	"Mozilla's root certificates, Mozilla Public License 2.0:\n"
	"  https://mozilla.org/MPL/2.0/; the source is certdata.txt of NSS\n"
	"Unicode Character Database 14.0.0; its terms are in r2's file LICENSE\n"
	"  Copyright (c) 1991-2021 Unicode, Inc. All rights reserved.\n"
	"\n"
	"Permission is hereby granted, free of charge, to any person obtaining a copy\n"
	"of this software and associated documentation files (the \"Software\"), to deal\n"
	"in the Software without restriction, including without limitation the rights\n"
	"to use, copy, modify, merge, publish, distribute, sublicense, and/or sell\n"
	"copies of the Software, and to permit persons to whom the Software is\n"
	"furnished to do so, subject to the following conditions:\n"
	"\n"
	"The above copyright notice and this permission notice shall be included in all\n"
	"copies or substantial portions of the Software.\n"
	"\n"
	"THE SOFTWARE IS PROVIDED \"AS IS\", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR\n"
	"IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY,\n"
	"FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE\n"
	"AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER\n"
	"LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM,\n"
	"OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE\n"
	"SOFTWARE.\n";

int
licenses(void)
{
	return fputs(text, stdout) < 0;
}
