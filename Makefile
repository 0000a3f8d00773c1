# r2box: one static binary, ./r2. What is built on the way stands in build/.
#   make deps        bring what the build needs: Debian packages, the sources of BearSSL and musl
#   make             ./r2
#   make man         build/man/*.1; make tables: those of doc/troubleshooting.md and doc/options.md; make picture: doc/demo.svg
#   make ARCH=arm64  build/arm64/r2, for another machine; or armv7, riscv64 (.ci/deps build dist brings the compilers)
#   make install     [DESTDIR=] [PREFIX=/usr/local], with manual and completion; make uninstall
#   make test        bring what the tests need, run all of them; make units: only build the unit programs
#   make check       static checks
#   make demo | interop | facts
#   make bench       beside its peers (bench/run says how); make profile; make performance
#   make coverage   what the tests reach of lib/; make tsan: races between threads; make stress: signals at random moments, STRESS seconds (300)
#   make failures   each call to the system and for memory fails once, in every scenario, and under strace in r2 as it is shipped;
#                   FULL=1: with every error, for every chain of callers
#   make matrix  each fault for each command, as a table; ROWS='sync DNS': only what has these words
#   make soak    r2 sync behind a proxy that breaks things, for SOAK seconds (600)
#   make fuzz    [SECONDS=60] [TARGET=NAME]: libFuzzer on what reads other people's bytes; finds go to tests/fuzz/finds
#   make dist        build/dist: four machines' programs, packages, wheels, source, SHA256SUMS; make dist-test tries them under qemu
#   make mutants [WORDS=]: seeded bugs of tests/mutants.txt, each of which a test must see
#   make clean       keeps downloads; make distclean does not
# BEARSSL_SRC=DIR and MUSL_SRC=DIR take other trees of theirs, V=1 shows the commands, WERROR=-Werror makes warnings errors.
VERSION     = 0.1.0
PREFIX      = /usr/local
B           = build
BEARSSL_SRC = $(B)/bearssl
MUSL_SRC    = $(B)/musl-src
ROOTS       = /usr/share/ca-certificates/mozilla
ARCH        =
CC          = $(CROSS)gcc
MUSL_CC     = $(CC) -nostdinc -isystem $O/libc/include -isystem $(CC_INC)
AR          = $(CROSS)gcc-ar
WARN        = -std=c11 -Wall -Wextra -Wshadow -Wvla -Wmissing-prototypes -Wconversion
INTEROP     = r2emu minio versitygw moto
# Not every shell expands PREFIX=~/.local.
TREE        = $(subst <>,,$(subst <>~/,$(HOME)/,<>$(DESTDIR)$(PREFIX)))
BIN         = $(TREE)/bin
SHARE       = $(TREE)/share

# Byte order of names, for ever the same lists and so the same bytes.
export LC_ALL = C
JOBS       := $(shell nproc)
ifeq ($(MAKELEVEL),0)
MAKEFLAGS  += -j$(JOBS)
endif
Q          := $(if $(V),,@)
AGAIN       = $(MAKE) --no-print-directory $(if $(V),,-s)
$(if $(word 2,$(CURDIR)),$(error $(CURDIR): these rules take no path with a space))

# What stands for one machine: $O. For another one than this, there is a compiler of Debian's.
TRIPLE_arm64   = aarch64-linux-gnu
TRIPLE_armv7   = arm-linux-gnueabihf
TRIPLE_riscv64 = riscv64-linux-gnu
$(if $(filter-out arm64 armv7 riscv64,$(ARCH)),$(error ARCH=$(ARCH): arm64, armv7 or riscv64))
CROSS      := $(ARCH:%=$(TRIPLE_$(ARCH))-)
O          := $(B)$(ARCH:%=/%)
R2         := $(ARCH:%=$O/)r2
LIBC       := $O/libc/lib/libc.a

LIB        := $(sort $(wildcard lib/*.c))
APPLETS    := $(sort $(wildcard applets/*.c))
TESTS      := $(sort $(wildcard tests/t_*.c))
PAGES      := $(patsubst doc/man/%.mdoc,r2-%.1,$(filter-out doc/man/r2.mdoc,$(sort $(wildcard doc/man/*.mdoc)))) r2.1
COMPLETION  = bash-completion/completions/r2 zsh/site-functions/_r2 fish/vendor_completions.d/r2.fish
# bash and fish look for it by the command's name.
LINKED     := $(foreach l,$(filter-out r2,$(basename $(PAGES))),bash-completion/completions/$l fish/vendor_completions.d/$l.fish)
UNITS      := $(foreach b,musl $(if $(ARCH),,asan),$(TESTS:tests/%.c=$O/$b/%))
COV_UNITS  := $(TESTS:tests/%.c=$(B)/cov/%)
# The modules that have threads, or are used by several.
TSAN_UNITS := $(foreach t,pool http http_send net download upload watch walk ledger sync log progress,$(B)/tsan/t_$t)
FUZZ       := $(patsubst tests/fuzz/%.c,$(B)/fuzz/%,$(sort $(wildcard tests/fuzz/*.c)))
# Shell tests: what may be executed, but for those that have a target of their own.
SCRIPTS    := $(filter-out tests/lib.sh tests/demo.sh tests/dist.sh tests/interop.sh tests/tsan.sh tests/aws_ls.sh,$(sort $(shell find tests -maxdepth 1 -name '*.sh' -perm -100 2>/dev/null)))

MACHINE    := $(shell $(CC) -dumpmachine 2>/dev/null)
CC_INC     := $(shell $(CC) -print-file-name=include 2>/dev/null)
MUSL       := musl $(shell cat $(MUSL_SRC)/VERSION 2>&1)
CPPFLAGS    = -D_GNU_SOURCE -DR2_VERSION='"$(VERSION)"' -DR2_LIBC='"$(MUSL)"' -DR2_ARCH='"$(firstword $(subst -, ,$(MACHINE)))"' \
              -Ilib -I$(B) -isystem $(BEARSSL_SRC)/inc -ffile-prefix-map=$(CURDIR)=.
BR_CPPFLAGS = -w -fstack-protector -I$(BEARSSL_SRC)/inc -I$(BEARSSL_SRC)/src -ffile-prefix-map=$(CURDIR)=.
# What gcc does for speed by -Oz too, and what makes code longer on the whole: 6 KB; but not where every byte of a file passes.
SMALL       = -Oz -fno-expensive-optimizations -fno-move-loop-invariants -fno-tree-loop-im -fno-tree-dominator-opts \
              -fno-tree-tail-merge -fno-caller-saves -fno-if-conversion
# What most of a handshake is, P-256, takes half the time so, and 5 KB. Inlining and vectors of scalars make it larger, not faster.
BR_FAST     = " ec_p256_m31.c ccopy.c "
FAST        = -O3 -fno-inline-functions -fno-inline-small-functions -fno-tree-slp-vectorize

# The builds of the same sources: musl is the one that is shipped, asan the one that is tested hardest; cov and tsan are asked for.
CC_musl     = $(MUSL_CC) -Os -flto=auto -ffat-lto-objects -fPIE -fstack-protector -ffunction-sections -fdata-sections \
              -fno-asynchronous-unwind-tables -fno-unwind-tables -fno-ident $(X86_CFLAGS)
LIBC_musl   = $(LIBC)
X86_CFLAGS  = $(if $(filter x86_64-%,$(MACHINE)),-malign-data=abi)
CC_asan     = $(CC) -O1 -g -fno-omit-frame-pointer -fsanitize=address -pthread
CC_fuzz     = clang -O1 -g -fno-omit-frame-pointer -fsanitize=address,fuzzer-no-link -pthread
UBSAN       = -fsanitize=undefined -fno-sanitize-recover=all
# Clang's; what it says to the sources is .ci/check's business.
CC_cov      = clang -w -O1 -g -pthread
CC_tsan     = clang -w -O1 -g -fno-omit-frame-pointer -fsanitize=thread -pthread
# Counters in a mapped file that all processes of a program share: kill -9, an empty environment and a sandbox lose nothing.
PROFILE     = -fprofile-instr-generate=$(CURDIR)/$(B)/cov/profile/%m%c.profraw

# Packed relocations: of Debian 12's linkers, x86's alone knows them.
X86_LDFLAGS = $(if $(filter x86_64-%,$(MACHINE)),-Wl$(comma)-z$(comma)pack-relative-relocs)
comma      := ,
# By itself the compiler links glibc: a static PIE with musl is put together by hand.
CRT         = $(shell $(CC) -print-file-name=crt$1S.o)
STRIP       = ,-s
LINK_musl   = $(CC) -nostdlib -nostartfiles -static-pie -Wl,--no-dynamic-linker,--gc-sections,--build-id=none$(STRIP) \
              -Wl,-z,relro,-z,now,-z,noexecstack,-z,noseparate-code,--wrap=__libc_start_main $(X86_LDFLAGS) \
              -flto-partition=one -L$O/libc/lib -o $@ $O/libc/lib/rcrt1.o $O/libc/lib/crti.o \
              $(call CRT,begin) $(filter %.o %.a,$^) -Wl,--start-group -lc -lgcc -lgcc_eh -Wl,--end-group \
              $(call CRT,end) $O/libc/lib/crtn.o
LINK_asan   = $(CC_asan) $(UBSAN) -o $@ $(filter %.o %.a,$^)
LINK_cov    = $(CC_cov) $(PROFILE) -o $@ $(filter %.o %.a,$^)
LINK_tsan   = $(CC_tsan) -o $@ $(filter %.o %.a,$^)
LINK_fuzz   = $(CC_fuzz) $(UBSAN) -fsanitize=fuzzer -o $@ $(filter %.o,$^) $(filter %.a,$^)

all: $(R2)

$(R2): $(APPLETS:%.c=$O/musl/%.o) $O/musl/libr2.a $O/musl/libbearssl.a
	@echo '  link $@'
	$(Q)$(LINK_musl)

# One build, $1: objects of our sources, the two archives, the unit programs. $2: more flags for ours alone.
define BUILD
$O/$1/%.o: %.c $O/flags $(LIBC_$1)
	@mkdir -p $$(@D) && echo '  $1 $$<'
	$$(Q)$$(CC_$1) $2 $$(WARN) $$(WERROR) $$(CPPFLAGS) -MMD -MP -c -o $$@ $$<

$O/$1/lib/tls_trust.o: $(B)/roots.h

# What runs before relocation is no business of the optimizer of all the rest.
$O/$1/lib/start.o: CPPFLAGS += -fno-lto

$O/$1/libr2.a: $(LIB:%.c=$O/$1/%.o)
	$$(Q)rm -f $$@ && $$(AR) rcsD $$@ $$^

# BearSSL's base names are unique; its sources never change, so one command compiles them all.
$O/$1/libbearssl.a: $(BEARSSL_SRC)/inc/bearssl.h $O/flags-bearssl $(LIBC_$1)
	@rm -rf $O/$1/bearssl && mkdir -p $O/$1/bearssl && echo '  $1 BearSSL'
	$$(Q)find $(BEARSSL_SRC)/src -name '*.c' | sort | xargs -P $(JOBS) -n 1 \
		sh -c 'case $(BR_FAST) in *" $$$${0##*/} "*) fast="$(FAST)";; esac; \
			$$(CC_$1) $$(BR_CPPFLAGS) $$$$fast -c -o $O/$1/bearssl/$$$$(basename $$$$0 .c).o $$$$0'
	$$(Q)rm -f $$@ && $$(AR) rcsD $$@ $O/$1/bearssl/*.o

$O/$1/t_%: $O/$1/tests/t_%.o $O/$1/libr2.a $O/$1/libbearssl.a
	$$(Q)$$(LINK_$1)

# The product of this build, to run the end-to-end tests with by hand: R2=build/asan/r2.
$O/$1/r2: $(APPLETS:%.c=$O/$1/%.o) $O/$1/libr2.a $O/$1/libbearssl.a
	$$(Q)$$(LINK_$1)
endef
# Ours as small as can be; BearSSL's arithmetic would become slower.
$(eval $(call BUILD,musl,$$(SMALL)))
$O/musl/lib/hash%.o $O/musl/lib/tls_gcm_%.o: SMALL = -Oz
$(eval $(call BUILD,asan,$(UBSAN)))
$(eval $(call BUILD,cov,$(PROFILE) -fcoverage-mapping -mllvm -runtime-counter-relocation))
$(eval $(call BUILD,tsan))
$(eval $(call BUILD,fuzz,$(UBSAN)))

# The fuzz targets. BearSSL is not what they are about: as it ships, without instruments. What reads options has those of the applets.
$(B)/fuzz/%.o: WARN += -Wno-sign-conversion -Wno-string-conversion -Wno-string-concatenation   # as make check has it
$(B)/fuzz/opt: $(patsubst %.c,$(B)/fuzz/%.o,$(filter-out applets/main.c,$(APPLETS)))
$(FUZZ): $(B)/fuzz/%: $(B)/fuzz/tests/fuzz/%.o $(B)/fuzz/libr2.a $(B)/musl/libbearssl.a
	$(Q)$(LINK_fuzz)

# … where every call to the system or for memory can be told to fail: tests/failures.py.
$(B)/asan/r2-fail: $(B)/asan/tests/fail_calls.o $(APPLETS:%.c=$(B)/asan/%.o) $(B)/asan/libr2.a $(B)/asan/libbearssl.a
	$(Q)$(LINK_asan) $$(nm $< | sed -n 's/.* T __wrap_/-Wl,--wrap=/p')

# musl by its own make; our variables are none of its business. Small: doc/performance.md has what -O2 would bring.
# What fails is tried once more, one file at a time: the last lines are then the reason, not what other jobs had to say.
MUSL_CFLAGS = $(SMALL) -fPIE -fno-ident $(X86_CFLAGS)
$(LIBC): $(MUSL_SRC)/configure $O/flags-libc
	@rm -rf $O/libc $O/libc.d && mkdir -p $O/libc.d && echo '  libc musl'
	$(Q)unset MAKEFLAGS MAKEOVERRIDES MAKELEVEL && cd $O/libc.d && { $(abspath $(MUSL_SRC))/configure --target=$(MACHINE) \
		--prefix=$(abspath $O/libc) --disable-shared --disable-wrapper CC='$(CC)' CROSS_COMPILE=$(CROSS) \
		CFLAGS='$(MUSL_CFLAGS) -ffile-prefix-map=$(abspath $(MUSL_SRC))=musl' && \
		{ make -s -j$(JOBS) install || make -s install; }; } >log 2>&1 || \
		{ tail log >&2; echo 'More: $O/libc.d/log' >&2; exit 1; }

ifdef ARCH
# What is made of it is of this machine.
$(B)/roots.h: FORCE
	@+$(AGAIN) ARCH= $@
else
# Mozilla's roots as constants, by BearSSL's own tool; it drops silently what it cannot read, so count.
$(B)/brssl: $(B)/musl/libbearssl.a
	$(Q)$(CC) $(BR_CPPFLAGS) -fno-lto -o $@ $(BEARSSL_SRC)/tools/*.c $<

$(B)/roots.h: $(B)/brssl lib/roots.awk $(ROOTS)
	@echo '  roots $(ROOTS)'
	$(Q)for f in $(ROOTS)/*.crt; do cat "$$f"; echo; done >$(B)/roots.pem
	$(Q)$(B)/brssl ta $(B)/roots.pem 2>/dev/null >$(B)/roots.c
	$(Q)awk -f lib/roots.awk $(B)/roots.c >$@.tmp
	$(Q)grep -q "ROOTS_COUNT = $$(grep -c BEGIN $(B)/roots.pem) " $@.tmp
	$(Q)dpkg-query -W -f='$${Version}' ca-certificates | \
		sed -E 's/^(....)(..)(..).*/#define ROOTS_DATE "\1-\2-\3"\n/' >>$@.tmp
	$(Q)mv $@.tmp $@
endif

# Other flags build anew: their text is a file, rewritten only when it differs.
remember    = $(if $(subst =$(file <$1),,=$2),$(shell mkdir -p $O)$(file >$1,$2))
MISSING    := $(if $(wildcard $(BEARSSL_SRC)/inc/bearssl.h),,BearSSL) \
              $(if $(CC_INC),,$(CC)) \
              $(if $(wildcard $(MUSL_SRC)/configure),,musl) $(if $(wildcard $(ROOTS)),,ca-certificates)
ifeq ($(strip $(MISSING)),)
$(call remember,$O/flags,$(CC_musl) $(SMALL) $(CC_asan) $(CC_fuzz) $(UBSAN) $(CC_cov) $(PROFILE) $(CC_tsan) $(WARN) $(CPPFLAGS) $(LINK_musl))
$(call remember,$O/flags-bearssl,$(CC_musl) $(CC_asan) $(CC_cov) $(CC_tsan) $(BR_CPPFLAGS) $(BR_FAST) $(FAST))
$(call remember,$O/flags-libc,$(CC) $(MUSL_CFLAGS))
else
$O/flags: FORCE
	@echo 'Missing: $(strip $(MISSING)). Run "$(if $(ARCH),.ci/deps build dist,make deps)" first.' >&2; exit 1
$(BEARSSL_SRC)/inc/bearssl.h $(ROOTS) $O/flags-bearssl $O/flags-libc $(MUSL_SRC)/configure: $O/flags
endif

units: $(UNITS)

SOURCES     = B=$(B) BEARSSL_SRC=$(BEARSSL_SRC) MUSL_SRC=$(MUSL_SRC)
deps:
	@$(SOURCES) .ci/deps build

deps-test:
	@$(SOURCES) .ci/deps build server test

# What several scripts make, at once: they must find it made.
TEST_TOOLS  = $(BENCH_TOOLS) $(B)/bench/r2-allocations $(B)/mktables man

# Parts that come one after the other, however many jobs there are: what is installed is seen by a new make.
test: deps-test
	@+$(AGAIN) r2 units fuzz-programs $(B)/asan/r2-fail $(TEST_TOOLS)
	@TEST_SERVER=radosgw tests/run $(UNITS) $(SCRIPTS)

check: deps-test
	@+$(AGAIN) $(B)/roots.h
	@CC='$(CC)' MUSL_CC='$(MUSL_CC)' WARN="$(WARN)" CPPFLAGS="$(subst ",\",$(CPPFLAGS))" .ci/check

demo:
	@$(SOURCES) .ci/deps build server
	@+$(AGAIN) r2
	@tests/demo.sh

interop: deps-test
	@+$(AGAIN) r2 $(B)/musl/t_sweep
	@TEST_TIMEOUT=2400 tests/interop.sh $(INTEROP)

coverage: deps-test
	@+$(AGAIN) r2 $(COV_UNITS) $(B)/cov/r2 $(TEST_TOOLS)
	@B=$(B) tests/coverage

tsan: deps-test
	@+$(AGAIN) $(TSAN_UNITS) $(B)/tsan/r2
	@TEST_SERVER=radosgw R2=$(B)/tsan/r2 TSAN_OPTIONS=suppressions=$(CURDIR)/tests/tsan.supp TEST_TIMEOUT=1200 tests/run $(TSAN_UNITS) tests/tsan.sh

stress: deps-test
	@+$(AGAIN) r2
	@STRESS=$${STRESS:-300} TEST_TIMEOUT=$$((2 * $${STRESS:-300} + 600)) tests/run tests/signals.sh
# TARGET=NAME: that one only. How it is done: tests/fuzz/run.
fuzz: deps-test
	@+$(AGAIN) fuzz-programs
	@tests/fuzz/run $(or $(SECONDS),60) $(or $(TARGET),$(notdir $(FUZZ)))

fuzz-programs: $(FUZZ)

failures: deps-test
	@+$(AGAIN) r2 $(B)/asan/r2-fail
	@tests/server with r2emu python3 tests/failures.py $(if $(FULL),--full)
	@tests/server with r2emu python3 tests/inject.py $(if $(FULL),--full)
matrix: deps-test
	@+$(AGAIN) r2
	@tests/matrix.sh $(ROWS)

soak: deps-test
	@+$(AGAIN) r2
	@tests/server with radosgw python3 tests/soak.py

# WORDS: only rows with one of these in their file, bug or tests. No test is run as often as here, so not a part of make test.
mutants: deps-test
	@tests/server with r2emu tests/mutants.py $(WORDS)

# What bench/ and tests/counts.sh measure with.
BENCH_TOOLS = $(addprefix $(B)/bench/,launch empty sink far limit)
$(B)/bench/sink: $(wildcard bench/sink*.c) bench/sink.h
$(B)/bench/far: bench/far.c
$(B)/bench/sink $(B)/bench/far:
	@mkdir -p $(@D) && echo '  bench $(@F)'
	$(Q)$(CC) -O2 $(WARN) $(WERROR) -D_GNU_SOURCE -pthread -o $@ $(filter %.c,$^) $(if $(filter %sink,$@),-lssl -lcrypto)
$(B)/bench/launch $(B)/bench/empty $(B)/bench/limit: $(B)/bench/%: $(B)/musl/bench/%.o $(B)/musl/libr2.a $(B)/musl/libbearssl.a
	@mkdir -p $(@D) && echo '  bench $(@F)'
	$(Q)$(LINK_musl)
# r2 itself, counting its allocations; and with its symbols, for profiles.
$(B)/musl/tests/allocations.o: CPPFLAGS += -fno-lto
$(B)/bench/r2-allocations: LINK_musl += -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc
$(B)/bench/r2-allocations: $(APPLETS:%.c=$(B)/musl/%.o) $(B)/musl/tests/allocations.o $(B)/musl/libr2.a $(B)/musl/libbearssl.a
	@mkdir -p $(@D) && echo '  bench $(@F)'
	$(Q)$(LINK_musl)
$(B)/bench/r2-symbols: STRIP =
$(B)/bench/r2-symbols: $(APPLETS:%.c=$(B)/musl/%.o) $(B)/musl/libr2.a $(B)/musl/libbearssl.a
	@mkdir -p $(@D) && echo '  bench $(@F)'
	$(Q)$(LINK_musl)

bench: deps-test
	@+$(AGAIN) r2 $(BENCH_TOOLS)
	@bench/run

# What costs what, in percent; and doc/performance.* and README's table from the figures that make bench left.
profile:
	@$(SOURCES) .ci/deps build server test bench
	@+$(AGAIN) $(B)/bench/r2-symbols $(B)/bench/sink
	@+bench/profile
performance:
	@cp $(B)/bench/bench.json doc/performance.json
	@bench/report.py --markdown doc/performance.json doc/performance.md
	@bench/report.py --short doc/performance.json README.md
	@bench/charts.py doc/performance.json doc

# The README's table of what the binary is.
facts: r2
	@bench/facts

# A release for four machines, from this one (amd64): the same sources give the same bytes.
DIST_ARCHS  = arm64 armv7 riscv64
DIST_UNITS  = hash tls sigv4 xml http enc utc config retry buf err opt path mime nfc journal ledger sync sweep cost s3_list
ifndef ARCH
$(foreach a,$(DIST_ARCHS),$(B)/$a/r2): $(B)/roots.h FORCE
	+$(Q)$(AGAIN) ARCH=$(patsubst $(B)/%/r2,%,$@)
$(DIST_ARCHS:%=units-%): $(B)/roots.h FORCE
	+$(Q)$(AGAIN) ARCH=$(@:units-%=%) $(DIST_UNITS:%=$(B)/$(@:units-%=%)/musl/t_%)
endif

dist:
	@$(SOURCES) .ci/deps build dist
	@+$(AGAIN) r2 man $(DIST_ARCHS:%=$(B)/%/r2)
	@VERSION=$(VERSION) $(SOURCES) .ci/dist/pack && cat $(B)/dist/SHA256SUMS

dist-test: dist
	@$(SOURCES) .ci/deps build server dist-test
	@+$(AGAIN) $(DIST_UNITS:%=$(B)/musl/t_%) $(DIST_ARCHS:%=units-%)
	@DIST_UNITS='$(DIST_UNITS)' TEST_TIMEOUT=2400 tests/run tests/dist.sh

# The manual comes from the same tables as the help; what writes it is linked with them.
$(B)/mkman: LINK_musl += -fno-lto
$(B)/mkman: $(B)/musl/doc/mkman.o $(patsubst %.c,$(B)/musl/%.o,$(filter-out applets/main.c,$(APPLETS))) \
		$(B)/musl/libr2.a $(B)/musl/libbearssl.a
	$(Q)$(LINK_musl)

$(PAGES:%=$(B)/man/%): $(B)/mkman $(wildcard doc/man/*)
	@mkdir -p $(@D) && echo '  man $(@F)'
	$(Q)$< doc/man $(patsubst r2-%,%,$(basename $(@F))) >$@

man: $(PAGES:%=$(B)/man/%)

# The tables of two pages, from those that messages and help are made of; tests/documents.sh compares.
$(B)/mktables: LINK_musl += -fno-lto
$(B)/mktables: $(B)/musl/doc/mktables.o $(patsubst %.c,$(B)/musl/%.o,$(filter-out applets/main.c,$(APPLETS))) \
		$(B)/musl/libr2.a $(B)/musl/libbearssl.a
	$(Q)$(LINK_musl)

tables: $(B)/mktables
	@sed -i '/^| code | cause/,$$d' doc/troubleshooting.md
	@$< cures >>doc/troubleshooting.md
	@sed -i '/^## /,$$d' doc/options.md
	@$< options | tail -n +2 >>doc/options.md

# The README's picture, from a real run.
picture: deps-test
	@+$(AGAIN) r2
	@tests/server with r2emu doc/picture.py doc/demo.svg

ifdef ARCH
install uninstall:
	@echo 'make $@ ARCH=$(ARCH): only without ARCH, as it asks the program for its links; make dist has packages for other machines' >&2; exit 1
else
install: r2 man
	install -Dm755 r2 '$(BIN)/r2'
	'$(BIN)/r2' --install '$(BIN)'
	install -Dm644 -t '$(SHARE)/man/man1' $(PAGES:%=$(B)/man/%)
	$(foreach f,$(COMPLETION),./r2 --completion $(firstword $(subst -, ,$(subst /, ,$f))) >$(B)/completion && \
		install -Dm644 $(B)/completion '$(SHARE)/$f' &&) :
	$(foreach f,$(LINKED),ln -sf r2$(suffix $f) '$(SHARE)/$f' &&) :

uninstall: r2
	for l in $$(./r2 --list); do [ -e '$(BIN)'/$$l ] && [ ! '$(BIN)'/$$l -ef '$(BIN)/r2' ] || rm -f '$(BIN)'/$$l; done
	rm -f '$(BIN)/r2' $(PAGES:%='$(SHARE)/man/man1/%') $(COMPLETION:%='$(SHARE)/%') $(LINKED:%='$(SHARE)/%')
endif

clean:
	rm -rf r2 $(filter-out $(B)/cache $(B)/bearssl $(MUSL_SRC),$(wildcard $(B)/*))

distclean:
	rm -rf r2 $(B)

FORCE:
.PHONY: all man tables picture facts units fuzz fuzz-programs deps deps-test test check demo interop dist dist-test coverage tsan stress soak bench profile performance install uninstall clean distclean failures matrix mutants FORCE
.DELETE_ON_ERROR:
.SECONDARY:
-include $(wildcard $O/*/*/*.d $(B)/fuzz/tests/fuzz/*.d)
