#pragma once

/* What r2 is made of and under which terms, on standard output: the notices that go along with every copy. LICENSE has all texts. 0, or 1. */
int licenses(void);
