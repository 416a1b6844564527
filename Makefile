# cf-pcap. `make` builds, `make demo` shows it at work, `make check` runs every test.

CC ?= cc
STRIP ?= strip
CFLAGS ?= -O2 -g
PKG_CONFIG ?= pkg-config
prefix ?= /usr/local
bindir ?= $(prefix)/bin
mandir ?= $(prefix)/share/man
bashcompdir ?= $(prefix)/share/bash-completion/completions
zshcompdir ?= $(prefix)/share/zsh/site-functions
BUILD ?= build$(if $(filter 1,$(SANITIZE)),/sanitized)

ifneq ($(V),1)
Q = @
SAY = @printf '  %-4s %s\n'
else
SAY = @:
endif

# WERROR=1 in CI only: a newer compiler's new warning must not stop a user's build.
WARNINGS = -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wformat=2 -Wvla \
	-Wconversion $(if $(WERROR),-Werror)

# What there is to build with, looked up once: flags that the compiler and linker know, libraries.
# Targets that install packages first, or that need none, do without.
COLLECTOR_ONLY = $(if $(filter-out collector install-collector,$(or $(MAKECMDGOALS),all)),,-collector)
PROBED = $(BUILD)/probed$(if $(filter-out cc,$(CC)),-$(subst /,_,$(firstword $(CC))))$(COLLECTOR_ONLY).mk
NO_COMPILER = install-cap demo check check-unprivileged check-kernels bench bench-plot soak clean uninstall \
	uninstall-collector deb
ifneq ($(filter-out $(NO_COMPILER),$(or $(MAKECMDGOALS),all)),)
include $(PROBED)
endif

ifeq ($(SANITIZE),1)
# The sanitizers' runtimes cannot be linked statically and need room: for tests only.
LTO =
HARDENING = -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer \
	-DMEMORY_LIMIT_BYTES=RLIM_INFINITY
LINK = -pie -Wl,-Bstatic $(1) -Wl,-Bdynamic
else
LINK = -static-pie $(1)
endif

# Includes name the room they come from, tests/test_rooms.py says which may include which.
ALL_CPPFLAGS = -D_GNU_SOURCE -I. -Iwriter $(PCAP_CFLAGS) $(CPPFLAGS)
# The folder it is built in leaves no trace: the same source gives the same bytes.
ALL_CFLAGS = -std=gnu11 -fPIE -ffile-prefix-map='$(CURDIR)'=. $(WARNINGS) $(HARDENING) $(CFLAGS)
ALL_LDFLAGS = $(LDHARDENING) $(LDFLAGS)

# What libpcap would call for itself comes from helper/sockets.c and helper/lookup.c instead.
SOCKET_WRAPS = $(addprefix -Wl$(comma)--wrap=,socket bind setsockopt mmap)
LOOKUP_WRAPS = $(addprefix -Wl$(comma)--wrap=,getaddrinfo freeaddrinfo gethostbyname getnetbyname_r \
	getprotobyname_r ether_hostton)
comma = ,

# What the processes may call: made into programs at build time. For another machine than this one
# say HOSTCC=cc, which makes what runs here.
RULES = helper/sandbox_rules.c writer/sandbox_rules.c writer/setup/guard_rules.c collector/sandbox_rules.c
HOSTCC ?= $(CC)

COMMON = $(patsubst %.c,$(BUILD)/%.o,$(sort $(wildcard common/*.c)))
HELPER_SOURCES = $(filter-out $(RULES),$(sort $(wildcard helper/*.c)))
HELPER = $(HELPER_SOURCES:%.c=$(BUILD)/%.o)
READERS = formats/reader.c formats/pcap_reader.c formats/pcapng_reader.c
WRITER_SOURCES = $(filter-out $(RULES) $(READERS),$(sort $(wildcard writer/*.c writer/*/*.c formats/*.c base/*.c)))
WRITER = $(WRITER_SOURCES:%.c=$(BUILD)/%.o)
# The desk's program: by itself it is `make collector`, which needs libpcap and jansson, and on Linux libseccomp's headers.
COLLECTOR_SOURCES = $(filter-out $(RULES),$(sort $(wildcard collector/*.c collector/*/*.c))) $(READERS) \
	formats/pcapng_file.c base/clock.c base/flag.c base/line.c base/log.c base/quantity.c
COLLECTOR = $(COLLECTOR_SOURCES:%.c=$(BUILD)/%.o)
ifeq ($(shell uname -s),Linux)
COLLECTOR_LINK = $(ALL_LDFLAGS) $(LOOKUP_WRAPS) $(call LINK,$(PCAP_LIBS) $(JANSSON_LIBS))
COLLECTOR_BESIDES = $(BUILD)/common/sandbox.o $(BUILD)/sandbox/merger.o $(BUILD)/helper/no_modules.o
else
COLLECTOR_LINK = $(LDFLAGS) $(PCAP_LIBS) $(JANSSON_LIBS)
endif

all: $(BUILD)/cf-pcap $(BUILD)/cf-pcap-collect

collector: $(BUILD)/cf-pcap-collect

$(BUILD)/cf-pcap-collect: $(COLLECTOR) $(COLLECTOR_BESIDES)
	$(SAY) LD $@
	$(Q)$(CC) $(ALL_CFLAGS) $(LTO) -o $@ $^ $(COLLECTOR_LINK)

$(BUILD)/cf-pcap: $(HELPER) $(COMMON) $(BUILD)/sandbox/helper.o $(BUILD)/tail/headers_tails.o
	$(SAY) LD $@
	$(Q)$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) $(SOCKET_WRAPS) $(LOOKUP_WRAPS) -o $@ $^ \
		$(call LINK,$(PCAP_LIBS) $(CAP_LIBS))

WRITER_SANDBOXES = $(BUILD)/sandbox/writer.o $(BUILD)/sandbox/guard.o

$(PROBED): packaging/probe packaging/hardening-flags
	@mkdir -p $(@D)
	@CC='$(CC)' HOSTCC='$(HOSTCC)' CPPFLAGS='$(CPPFLAGS)' CFLAGS='$(CFLAGS)' LDFLAGS='$(LDFLAGS)' \
		PKG_CONFIG='$(PKG_CONFIG)' COLLECTOR_ONLY='$(COLLECTOR_ONLY)' packaging/probe >$@.new && mv $@.new $@

# For packages: how to enable the program where it has no capability.
ENABLED_BY ?=
$(BUILD)/writer/setup/diagnosis.o: ALL_CPPFLAGS += $(if $(ENABLED_BY),-DENABLED_BY='"$(ENABLED_BY)"')

# Where the operator's policy lies if not beside the program: for packages that keep settings in /etc.
POLICY_FOLDER ?=
$(BUILD)/writer/setup/policy_file.o: ALL_CPPFLAGS += $(if $(POLICY_FOLDER),-DPOLICY_FOLDER='"$(POLICY_FOLDER)"')

# The helper carries the writer: one file is installed. helper/image.c, never with LTO, takes it up.
$(BUILD)/cf-pcap-writer.image: $(BUILD)/cf-pcap-writer
	$(Q)$(STRIP) -o $@ $<

$(BUILD)/helper/image.o $(BUILD)/tested/helper/image.o: $(BUILD)/cf-pcap-writer.image
$(BUILD)/helper/image.o $(BUILD)/tested/helper/image.o: ALL_CPPFLAGS += -DWRITER_IMAGE='"$(BUILD)/cf-pcap-writer.image"'

# NO_WARNINGS: ld warns that getaddrinfo() may load libraries in a static program. Ours may not:
# writer/setup/resolver.c pins the sources that are built in.
$(BUILD)/cf-pcap-writer: $(WRITER) $(COMMON) $(WRITER_SANDBOXES)
	$(SAY) LD $@
	$(Q)$(CC) $(ALL_CFLAGS) $(LTO) $(ALL_LDFLAGS) $(NO_WARNINGS) -o $@ $^ \
		$(call LINK,$(CAP_LIBS) $(JANSSON_LIBS))

$(sort $(WRITER) $(COLLECTOR)): ALL_CFLAGS += $(LTO)

$(BUILD)/%.o: %.c Makefile
	@mkdir -p $(@D)
	$(SAY) CC $@
	$(Q)$(CC) $(ALL_CPPFLAGS) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

-include $(HELPER:.o=.d) $(WRITER:.o=.d) $(COMMON:.o=.d) $(COLLECTOR:.o=.d)

$(BUILD)/sandbox/export: sandbox/export.c $(RULES) $(wildcard common/*.h helper/*.h writer/*.h writer/setup/*.h collector/*.h) Makefile
	@mkdir -p $(@D)
	$(SAY) CC $@
	$(Q)$(HOSTCC) -D_GNU_SOURCE -I. -Iwriter -std=gnu11 $(WARNINGS) -O1 -o $@ $(filter %.c,$^) -lseccomp

$(BUILD)/sandbox/%.c: $(BUILD)/sandbox/export
	$(Q)$< code $* $(if $(filter 1,$(SANITIZE)),sanitized) >$@.new && mv $@.new $@

$(BUILD)/sandbox/%.o: $(BUILD)/sandbox/%.c
	$(SAY) CC $@
	$(Q)$(CC) $(ALL_CPPFLAGS) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

# Where a packet's headers end: the program for it, for each link type.
$(BUILD)/tail/export: $(wildcard tail/*.c) helper/program.c $(wildcard tail/*.h helper/*.h) Makefile
	@mkdir -p $(@D)
	$(SAY) CC $@
	$(Q)$(HOSTCC) -D_GNU_SOURCE -I. $(PCAP_CFLAGS) -std=gnu11 $(WARNINGS) -O1 -o $@ $(filter %.c,$^)

$(BUILD)/tail/headers_tails.c: $(BUILD)/tail/export
	$(Q)$< >$@.new && mv $@.new $@

$(BUILD)/tail/%.o: $(BUILD)/tail/%.c
	$(SAY) CC $@
	$(Q)$(CC) $(ALL_CPPFLAGS) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

# What each process may call once its sandbox is closed. With reasons: tests/hostile/sandbox/.
sandbox-list: $(BUILD)/sandbox/export
	$(Q)for process in helper writer guard merger; do echo "$$process:"; $< list $$process; done

# What version 0.1.0 installed besides.
FORMER = '$(DESTDIR)$(bindir)/cf-pcap-writer' '$(DESTDIR)$(mandir)/man8/cf-pcap-writer.8'

# With DESTDIR, for packages, the capability is theirs to set. Otherwise root's install ends with it.
install: all
	rm -f $(FORMER)
	install -d '$(DESTDIR)$(bindir)'
	install -m 0755 $(BUILD)/cf-pcap '$(DESTDIR)$(bindir)/cf-pcap'
	install -D -m 0644 packaging/man/cf-pcap.1 '$(DESTDIR)$(mandir)/man1/cf-pcap.1'
	install -D -m 0644 packaging/man/cf-pcap.policy.5 '$(DESTDIR)$(mandir)/man5/cf-pcap.policy.5'
	install -D -m 0644 packaging/man/cf-pcap-protocol.7 '$(DESTDIR)$(mandir)/man7/cf-pcap-protocol.7'
	install -D -m 0644 packaging/completion/cf-pcap.bash '$(DESTDIR)$(bashcompdir)/cf-pcap'
	install -D -m 0644 packaging/completion/_cf-pcap '$(DESTDIR)$(zshcompdir)/_cf-pcap'
	@if [ -n '$(DESTDIR)' ]; then :; \
	elif [ "$$(id -u)" = 0 ]; then $(MAKE) --no-print-directory install-cap; \
	else echo "installed without the capability; it is set by root: make install-cap prefix='$(prefix)'"; fi

# It comes last: from then on the file is what its folder and its content make it.
install-cap:
	@command -v setcap >/dev/null || { \
		echo "no setcap here: install Debian's package libcap2-bin, then run make install-cap" >&2; exit 1; }
	setcap cap_net_raw=p '$(DESTDIR)$(bindir)/cf-pcap'

uninstall:
	rm -f '$(DESTDIR)$(bindir)/cf-pcap'
	rm -f '$(DESTDIR)$(mandir)/man1/cf-pcap.1' '$(DESTDIR)$(mandir)/man5/cf-pcap.policy.5'
	rm -f '$(DESTDIR)$(mandir)/man7/cf-pcap-protocol.7'
	rm -f '$(DESTDIR)$(bashcompdir)/cf-pcap' '$(DESTDIR)$(zshcompdir)/_cf-pcap'

# For the user's own computer: needs no root and no capability.
install-collector: collector
	install -d '$(DESTDIR)$(bindir)'
	install -m 0755 $(BUILD)/cf-pcap-collect '$(DESTDIR)$(bindir)/cf-pcap-collect'
	install -d '$(DESTDIR)$(mandir)/man1' '$(DESTDIR)$(bashcompdir)' '$(DESTDIR)$(zshcompdir)'
	install -m 0644 packaging/man/cf-pcap-collect.1 '$(DESTDIR)$(mandir)/man1/cf-pcap-collect.1'
	install -m 0644 packaging/completion/cf-pcap-collect.bash '$(DESTDIR)$(bashcompdir)/cf-pcap-collect'
	install -m 0644 packaging/completion/_cf-pcap-collect '$(DESTDIR)$(zshcompdir)/_cf-pcap-collect'

uninstall-collector:
	rm -f '$(DESTDIR)$(bindir)/cf-pcap-collect' '$(DESTDIR)$(mandir)/man1/cf-pcap-collect.1'
	rm -f '$(DESTDIR)$(bashcompdir)/cf-pcap-collect' '$(DESTDIR)$(zshcompdir)/_cf-pcap-collect'

include packaging/targets.mk

# Real packets, captured by an unprivileged user. As root; installs what it needs.
demo:
	@tests/install-packages demo
	@$(MAKE) -s all
	@tests/demo.sh

# All tests. As root; installs what they need.
check:
	@tests/install-packages check
	@tests/run-checks

# Those that need neither root nor a namespace: unit tests, rooms, linters, manual pages.
check-unprivileged:
	@/usr/bin/python3 -m pytest -q -p no:cacheprovider tests/test_unit.py tests/test_rooms.py tests/test_lint.py \
		tests/test_contributing.py tests/packaging/test_man.py

# On every kernel that Debian's suites hold, and on arm64, in emulated machines: about an hour. As
# root; KERNELS="6.12 arm64" for those whose names contain one of these words, JOBS="basic theft" for
# some of the tests. What was found when: KERNELS.md.
check-kernels:
	@tests/install-packages kernels
	@cd tests && PYTHONPATH=. exec /usr/bin/python3 -m kernels.check $(KERNELS)

# Everything but the two main()s, for the tests that call functions: built apart, without LTO,
# because no archive of every compiler's LTO objects can be linked.
# collector/extcap/filter.c answers the same calls of libpcap as the helper does.
SOURCES_TESTED = $(sort $(filter-out %/main.c collector/extcap/filter.c,$(wildcard common/*.c) $(HELPER_SOURCES) $(WRITER_SOURCES) $(COLLECTOR_SOURCES)))
TESTED = $(patsubst %.c,$(BUILD)/tested/%.o,$(SOURCES_TESTED))

# cmocka is a shared library only.
UNIT = $(patsubst tests/unit/%.c,$(BUILD)/tests/unit/%,$(wildcard tests/unit/test_*.c))
UNIT_OBJECTS = $(patsubst %.c,$(BUILD)/tested/%.o,$(wildcard tests/unit/*.c))

unit: $(UNIT)
	$(Q)for test in $(UNIT); do $$test || exit; done

unit-build: $(UNIT)

$(BUILD)/tested/%.o: %.c Makefile
	@mkdir -p $(@D)
	$(SAY) CC $@
	$(Q)$(CC) $(ALL_CPPFLAGS) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

$(BUILD)/tested.a: $(TESTED) $(BUILD)/sandbox/helper.o $(BUILD)/tail/headers_tails.o $(WRITER_SANDBOXES) $(BUILD)/sandbox/merger.o
	$(SAY) AR $@
	$(Q)rm -f $@ && $(AR) qcs $@ $^

$(UNIT): $(BUILD)/tests/unit/%: $(BUILD)/tested/tests/unit/%.o $(BUILD)/tested/tests/unit/scratch.o \
		$(BUILD)/tested/helper/no_modules.o $(BUILD)/tested.a
	@mkdir -p $(@D)
	$(SAY) LD $@
	$(Q)$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -pie -o $@ $^ -Wl,--as-needed -lcmocka $(PCAP_LIBS) $(JANSSON_LIBS) $(CAP_LIBS)

# libFuzzer is clang's. The helper's half runs on the same replaced calls as in the helper.
FUZZ_CC ?= clang
FUZZ_SECONDS ?= 600
FUZZ_JOBS ?= 2
FUZZ_BUILD = $(BUILD)/fuzzing
FUZZ_CFLAGS = -g -O1 -fPIE -I. -Iwriter -D_GNU_SOURCE -std=gnu11 $(WARNINGS) \
	-fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all
FUZZ = $(patsubst tests/fuzz/%.c,$(FUZZ_BUILD)/%,$(wildcard tests/fuzz/fuzz_*.c))
FUZZ_TESTED = $(patsubst %.c,$(FUZZ_BUILD)/%.o,$(filter-out helper/image.c,$(SOURCES_TESTED)))

fuzz: $(FUZZ)
	$(Q)printf '%s\n' $(FUZZ) | FUZZ_SECONDS=$(FUZZ_SECONDS) xargs -n 1 -P $(FUZZ_JOBS) tests/fuzz/run

fuzz-build: $(FUZZ)

$(FUZZ_BUILD)/%.o: %.c Makefile
	@mkdir -p $(@D)
	$(SAY) CC $@
	$(Q)$(FUZZ_CC) $(FUZZ_CFLAGS) -MMD -MP -c -o $@ $<

$(FUZZ_BUILD)/tested.a: $(FUZZ_TESTED)
	$(SAY) AR $@
	$(Q)rm -f $@ && $(AR) qcs $@ $^

$(FUZZ): $(FUZZ_BUILD)/%: $(FUZZ_BUILD)/tests/fuzz/%.o $(FUZZ_BUILD)/helper/libpcap_calls.o $(FUZZ_BUILD)/helper/no_modules.o $(FUZZ_BUILD)/tested.a \
		$(BUILD)/tail/headers_tails.o
	$(SAY) LD $@
	$(Q)$(FUZZ_CC) -fsanitize=fuzzer,address,undefined $(SOCKET_WRAPS) $(LOOKUP_WRAPS) -o $@ -Wl,--start-group $^ \
		-Wl,-Bstatic -lpcap -lcap -ljansson -Wl,--end-group -Wl,-Bdynamic

-include $(TESTED:.o=.d) $(UNIT_OBJECTS:.o=.d) $(wildcard $(FUZZ_BUILD)/*/*.d $(FUZZ_BUILD)/*/*/*.d)

# Measured against other tools and against the least a capture can cost. As root; BENCH_QUICK=1 for
# a short run, BENCH="cost latency" for some measurements only.
bench:
	@tests/install-packages bench
	@cd tests && exec /usr/bin/python3 -m bench.bench $(BENCH)

# A plot of cost and loss against packet rate: tests/bench/rate.png.
bench-plot:
	@tests/install-packages bench
	@cd tests && exec /usr/bin/python3 -m bench.plot

# Ten minutes at a high rate, with readers that are slow or stall; SOAK=small: records of 40 bytes.
SOAK ?= large
soak:
	@tests/install-packages bench
	@cd tests && exec /usr/bin/python3 -m bench.soak $(SOAK) $(SOAK_SECONDS)

bench-programs: $(addprefix $(BUILD)/bench/,gen check floor delay)

$(BUILD)/bench/floor: LDLIBS += -lpcap

$(BUILD)/bench/%: tests/bench/%.c tests/bench/payload.h Makefile
	@mkdir -p $(@D)
	$(SAY) CC $@
	$(Q)$(CC) -D_GNU_SOURCE -std=gnu11 -O2 $(WARNINGS) -o $@ $< $(LDLIBS)

# The writer's packet path over a ring in memory, for counting instructions. It includes capture.c.
$(BUILD)/bench/ring_image: tests/bench/ring_image.c writer/capture/capture.c Makefile \
		$(filter-out %/main.o %/capture.o,$(WRITER)) $(COMMON) $(WRITER_SANDBOXES)
	@mkdir -p $(@D)
	$(SAY) CC $@
	$(Q)$(CC) $(ALL_CPPFLAGS) $(ALL_CFLAGS) $(LTO) $(ALL_LDFLAGS) -o $@ $< $(filter %.o,$^) \
		$(CAP_LIBS) $(JANSSON_LIBS)

clean:
	rm -rf $(BUILD)

.PHONY: all collector unit unit-build fuzz fuzz-build install install-cap uninstall install-collector \
	uninstall-collector demo check check-unprivileged check-kernels bench bench-plot \
	bench-programs sandbox-list soak clean
.SECONDARY: $(UNIT_OBJECTS) $(BUILD)/tail/headers_tails.c $(patsubst %,$(BUILD)/sandbox/%.c,helper writer guard merger)
