# libchannels. `make help` lists the targets; everything that is made goes below build/.

# --- Settings, from the command line (make CC=clang PREFIX=/usr) or the environment ----------

# CC, CPPFLAGS, CFLAGS and LDFLAGS are yours; what the project itself needs is added to them.
CFLAGS ?= -O2 -g

# Where `make install` puts things. DESTDIR is put before each of them.
PREFIX ?= /usr/local
LIBDIR ?= $(PREFIX)/lib
INCLUDEDIR ?= $(PREFIX)/include
MANDIR ?= $(PREFIX)/share/man
PKGCONFIGDIR ?= $(LIBDIR)/pkgconfig

# What to build, each in directories of its own:
#   release   what is installed
#   asan      AddressSanitizer and UndefinedBehaviorSanitizer: stray memory accesses and leaks
#   ubsan     UndefinedBehaviorSanitizer alone
#   tsan      ThreadSanitizer: data races
#   fuzz      for libFuzzer, with the checks of asan; needs clang
VARIANT ?= release

# Which tests to run, by parts of their paths (make check TESTS='unit/ sim/'), all when empty;
# and how many seconds each may take. V=1 shows the commands.
TESTS ?=
TEST_SECONDS ?= 180

# Which workload make profile looks into: see test/budget.
WORKLOAD ?=

# How long make fuzz and make soak go on, and the compiler of the first.
MINUTES ?= 5
FUZZ_CC ?= clang

# What make bench does: how many rounds, each for so many seconds a run, of which workloads
# ('fanout-* idle'; `build/test/bench/net --list` has the names), with whom else ('NAME=COMMAND', to
# which it adds --port N), and where its tables and pictures go.
ROUNDS ?=
DURATION ?=
WORKLOADS ?=
SERVER ?=
PLOTS ?= $(BUILD)/bench

BUILD ?= build
CXX ?= c++
AR ?= ar
OBJCOPY ?= objcopy
PKG_CONFIG ?= pkg-config

# libsodium encrypts tokens: yes, no, or as it is found.
SODIUM ?= $(shell $(PKG_CONFIG) --exists libsodium 2>/dev/null && echo yes || echo no)

# libchannels-redis joins machines: yes, no, or as hiredis is found.
HIREDIS ?= $(shell $(PKG_CONFIG) --exists hiredis 2>/dev/null && echo yes || echo no)

# It speaks TLS: yes, no, or as hiredis_ssl is found, which comes with hiredis from 1.0 on.
HIREDIS_SSL ?= $(shell $(PKG_CONFIG) --exists hiredis_ssl 2>/dev/null && echo yes || echo no)

# Where llhttp is not packaged as a library, its C sources are taken from here (Debian 12's
# package node-llhttp), and its header from the folder below.
LLHTTP_DIR ?= /usr/share/llhttp
LLHTTP_INCLUDEDIR ?= /usr/share/include/llhttp

# --- Version ---------------------------------------------------------------------------------

VERSION := $(shell awk '/define CHANNELS_VERSION_(MAJOR|MINOR|PATCH) / { printf d $$3; d = "." }' \
                       include/channels/version.h)

# The ABI's number. It changes whenever programs must be linked anew, and only then.
SOVERSION := 0

# --- Flags -----------------------------------------------------------------------------------

WARNINGS := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wconversion -Wvla \
            -Wundef -Wwrite-strings

SANITIZE_asan := -fsanitize=address,undefined
SANITIZE_ubsan := -fsanitize=undefined
SANITIZE_tsan := -fsanitize=thread
SANITIZE_fuzz := -fsanitize=fuzzer-no-link,address,undefined
SANITIZE := $(SANITIZE_$(VARIANT))
ifneq ($(SANITIZE),)
SANITIZE += -fno-sanitize-recover=all -fno-omit-frame-pointer
else ifneq ($(VARIANT),release)
$(error VARIANT is one of release, asan, ubsan, tsan and fuzz, not '$(VARIANT)')
endif

# What the library is built on: packages with a .pc file, and wslay, which Debian ships without.
DEP_PC := libcjson libcrypto zlib
DEP_PLAIN := -lwslay
ifeq ($(shell $(PKG_CONFIG) --exists libllhttp 2>/dev/null && echo yes),yes)
DEP_PC += libllhttp
else
LLHTTP_SRC := $(addprefix $(LLHTTP_DIR)/,api.c http.c llhttp.c)
LLHTTP_CFLAGS := -isystem $(LLHTTP_INCLUDEDIR)
endif
ifeq ($(SODIUM),yes)
DEP_PC += libsodium
SODIUM_CFLAGS := -DCHANNELS__SODIUM
endif
ifeq ($(HIREDIS),yes)
REDIS_PC := $(if $(filter yes,$(HIREDIS_SSL)),hiredis_ssl libssl) hiredis libcrypto
REDIS_CFLAGS := $(if $(filter yes,$(HIREDIS_SSL)),-DCHANNELS__REDIS_TLS) \
                $(patsubst -I%,-isystem%,$(shell $(PKG_CONFIG) --cflags $(REDIS_PC)))
REDIS_LIBS := $(shell $(PKG_CONFIG) --libs $(REDIS_PC))
endif
DEP_CFLAGS := $(LLHTTP_CFLAGS) $(SODIUM_CFLAGS) \
              $(shell $(PKG_CONFIG) --cflags $(DEP_PC) 2>/dev/null)
DEP_LIBS := $(DEP_PLAIN) $(shell $(PKG_CONFIG) --libs $(DEP_PC) 2>/dev/null)

# The library keeps to C11 and POSIX. One set of objects serves both libraries, and what is not
# marked CHANNELS_API is visible in neither: objcopy sees to that in the static one, which it could
# not do in LTO's intermediate code.
STD = -std=gnu11
INCLUDES = -Iinclude
LIBS = $(DEP_LIBS)
FLAGS = $(CPPFLAGS) $(DEP_CFLAGS) $(WARNINGS) $(CFLAGS) -fPIC -fvisibility=hidden -fno-lto \
        $(SANITIZE)
COMPILE = $(CC) $(STD) $(INCLUDES) $(FLAGS) -MMD -MP
LINK = $(CC) $(CFLAGS) $(SANITIZE) $(LDFLAGS) -o $@ $(filter %.o,$^) $(filter %.a,$^) $(LIBS)

# --- Files -----------------------------------------------------------------------------------

OBJ := $(BUILD)/obj/$(VARIANT)
OUT := $(if $(SANITIZE),$(BUILD)/$(VARIANT),$(BUILD))

HEADERS := $(wildcard include/channels/*.h include/channels/*/*.h)
MAN := $(wildcard man/*.3 man/*.7)

LIB_SRC := $(filter-out lib/redis/%,$(wildcard lib/*/*.c))
LLHTTP_OBJ := $(LLHTTP_SRC:$(LLHTTP_DIR)/%.c=$(OBJ)/llhttp/%.o)
LIB_OBJ := $(LIB_SRC:%.c=$(OBJ)/%.o) $(LLHTTP_OBJ)
STATIC := $(OUT)/libchannels.a
SHARED := $(OUT)/libchannels.so.$(VERSION)
SHARED_LINKS := $(OUT)/libchannels.so.$(SOVERSION) $(OUT)/libchannels.so

# A library of its own, which uses the former as any program would.
ifeq ($(HIREDIS),yes)
REDIS_SRC := $(wildcard lib/redis/*.c)
REDIS_OBJ := $(REDIS_SRC:%.c=$(OBJ)/%.o)
REDIS_STATIC := $(OUT)/libchannels-redis.a
REDIS_SHARED := $(OUT)/libchannels-redis.so.$(VERSION)
REDIS_SHARED_LINKS := $(OUT)/libchannels-redis.so.$(SOVERSION) $(OUT)/libchannels-redis.so
endif

STATICS := $(STATIC) $(REDIS_STATIC)
SHAREDS := $(SHARED) $(REDIS_SHARED)
LINKS := $(SHARED_LINKS) $(REDIS_SHARED_LINKS)
PC := $(if $(REDIS_SRC),libchannels libchannels-redis,libchannels)

# Every examples/NAME.c, and the files of every examples/NAME/, become examples/NAME.
EXAMPLE_SRC := $(wildcard examples/*.c examples/*/*.c)
EXAMPLE_NAMES := $(sort $(foreach s,$(EXAMPLE_SRC:examples/%=%),\
                     $(basename $(firstword $(subst /, ,$s)))))

# What those need that the library does not, as pkg-config knows it. Where that is not installed
# the example is left out, and `make all` says so.
NEEDS_chat := sqlite3
NEEDS_embed_libuv := libuv
NEEDS_own_http := libsoup-3.0
NEEDS_own_websocket := libwebsockets
LEFT_OUT := $(foreach n,$(EXAMPLE_NAMES),$(if $(NEEDS_$n),$(shell \
                $(PKG_CONFIG) --exists $(NEEDS_$n) 2>/dev/null || echo $n)))
EXAMPLES := $(addprefix $(OUT)/examples/,$(filter-out $(LEFT_OUT),$(EXAMPLE_NAMES)))

# The servers that the conformance and client tests talk to: fixture, realtime and secure.
SERVER_SRC := $(wildcard test/conformance/*.c test/clients/*.c)
SERVERS := $(addprefix $(OUT)/,$(basename $(notdir $(SERVER_SRC))))

# Files with a main() are test programs, the others serve all of them.
TEST_SRC := $(wildcard test/unit/*.c test/sim/*.c)
ifneq ($(HIREDIS),yes)
TEST_SRC := $(filter-out test/unit/redis% test/unit/test_redis%,$(TEST_SRC))
endif
TEST_MAIN := $(shell grep -lsw '^int main' $(TEST_SRC) /dev/null)
TEST_PROGRAMS := $(TEST_MAIN:%.c=$(OUT)/%)
TEST_SUPPORT := $(patsubst %.c,$(OBJ)/%.o,$(filter-out $(TEST_MAIN),$(TEST_SRC)))

# Each file but one is a fuzz target; that one runs its corpus where no fuzzer does.
FUZZ_MAIN := test/fuzz/replay.c
FUZZ_SRC := $(filter-out $(FUZZ_MAIN),$(wildcard test/fuzz/*.c))
FUZZERS := $(FUZZ_SRC:%.c=$(OUT)/%)

# Thousands of clients, for make soak; make check lets it run for some seconds.
SOAK_SRC := $(wildcard test/soak/*.c)
SOAK := $(if $(SOAK_SRC),$(OUT)/test/soak/soak)

# make bench-cluster, of which make check lets smoke.sh look at the counts. With Redis.
ifeq ($(HIREDIS),yes)
BENCH_SRC := $(wildcard test/bench/*.c)
BENCH := $(if $(BENCH_SRC),$(OUT)/test/bench/cluster)
endif

# Workloads whose instructions are counted, as a user's program: with the static library.
BUDGET_SRC := $(wildcard test/budget/*.c)
BUDGET := $(if $(SANITIZE),,$(OUT)/test/budget/budget)

# make bench, of which make check lets net/smoke.sh look at the counts: `net` starts servers, `limit`
# and the fixture, and does to them what `load` does by hand. Each has a folder.
NET_SHARED := $(patsubst %,test/bench/%.c,figures machine report server table)
NET_SRC := $(NET_SHARED) $(foreach p,net load limit,$(wildcard test/bench/$p/*.c))
NET := $(patsubst %,$(OUT)/test/bench/%,net load limit)

# make bench-core, of which make check lets core/smoke.sh look at the counts: no sockets, no loop.
CORE_SRC := $(patsubst %,test/bench/%.c,figures machine report table) $(wildcard test/bench/core/*.c)
CORE := $(OUT)/test/bench/core

CONFORMANCE := $(wildcard test/conformance/run test/conformance/*/run)
CLIENTS := $(wildcard test/clients/*.test.js test/clients/*.test.mjs)
HOSTILE := $(wildcard test/hostile/*.test.js)
CLUSTER := $(wildcard test/cluster/*.test.js)
EXAMPLE_TESTS := $(wildcard test/examples/*.test.js)
BROWSER := $(wildcard test/browser/*.test.js test/browser/*.test.mjs)

# npm writes this file last: it is older than package-lock.json when the modules are stale.
NODE_MODULES := $(patsubst %package-lock.json,%node_modules/.package-lock.json,\
                           $(wildcard examples/*/package-lock.json test/*/package-lock.json))

# --- Building --------------------------------------------------------------------------------

.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
.SUFFIXES:

# demo, check and bench may install packages that this file then has to look at anew: they build in
# a make of their own, hence one after the other. Each of these is as parallel as -j allows.
ifneq ($(filter demo% check% bench% budget profile,$(MAKECMDGOALS)),)
.NOTPARALLEL:
endif

Q := $(if $(V),,@)
say = $(if $(V),,@echo '  $1 $(if $2,$2,$@)')

# What builds with the packages of `make deps`: no tests, which need more.
all: lib $(SERVERS) $(EXAMPLES) $(LEFT_OUT:%=left-out-%) ## the libraries and the examples (default)

tests: $(SERVERS) $(TEST_PROGRAMS) $(FUZZERS) $(SOAK) $(BENCH) $(BUDGET)
tests: $(NET) $(CORE) ## the test programs; check builds them

left-out-%:
	@echo '  skipped: examples/$* needs $(NEEDS_$*)'

lib: $(STATICS) $(if $(SANITIZE),,$(SHAREDS) $(LINKS)) ## the static and the shared libraries
ifneq ($(HIREDIS),yes)
lib: left-out-redis

left-out-redis:
	@echo '  skipped: libchannels-redis needs hiredis'
endif

$(OBJ)/%.o: %.c $(OBJ)/flags
	$(call say,CC  ,$<)
	@mkdir -p $(@D)
	$(Q)$(COMPILE) -c -o $@ $<

# llhttp's generated code is not ours to warn about. In its loose mode it takes what other parsers
# read differently, which lets requests be smuggled past a proxy.
$(OBJ)/llhttp/%.o: $(LLHTTP_DIR)/%.c $(OBJ)/flags
	$(call say,CC  ,$<)
	@mkdir -p $(@D)
	$(Q)$(COMPILE) -DLLHTTP_STRICT_MODE=1 -w -c -o $@ $<

$(OBJ)/lib/%: STD = -std=c11 -D_POSIX_C_SOURCE=200809L
$(OBJ)/lib/%: INCLUDES = -Iinclude -Ilib
$(OBJ)/lib/redis/% $(OBJ)/test/unit/%: private DEP_CFLAGS += $(REDIS_CFLAGS)
$(OBJ)/test/unit/% $(OBJ)/test/sim/% $(OBJ)/test/fuzz/% $(OBJ)/test/soak/% $(OBJ)/test/bench/%: INCLUDES = -Iinclude -Ilib -Itest
$(OBJ)/test/budget/%: INCLUDES = -Iinclude -Itest

# Objects made with other flags or another compiler are stale.
$(OBJ)/flags: FORCE
	@mkdir -p $(@D)
	@echo '$(CC) $(FLAGS)' | cmp -s - $@ || echo '$(CC) $(FLAGS)' > $@

# The library with all its names, for the tests.
$(OBJ)/internal.a: $(LIB_OBJ)
	@rm -f $@
	$(Q)$(AR) rcs $@ $^

$(OBJ)/redis.a: $(REDIS_OBJ)
	@rm -f $@
	$(Q)$(AR) rcs $@ $^

# One object in which what is hidden in the shared library is hidden too, llhttp's names included.
$(STATIC): $(LIB_OBJ)
$(REDIS_STATIC): $(REDIS_OBJ)
$(STATICS):
	$(call say,AR  )
	@mkdir -p $(@D)
	@rm -f $@
	$(Q)$(CC) -nostdlib -r -o $(OBJ)/$(@F:.a=.o) $^
	$(Q)$(OBJCOPY) --localize-hidden $(OBJ)/$(@F:.a=.o)
	$(Q)$(AR) rcs $@ $(OBJ)/$(@F:.a=.o)

$(SHARED): $(LIB_OBJ)
$(REDIS_SHARED): $(REDIS_OBJ) | $(SHARED_LINKS)
$(REDIS_SHARED): private LIBS = -L$(OUT) -lchannels $(REDIS_LIBS)
$(SHAREDS):
	$(call say,LINK)
	$(Q)$(LINK) -shared -Wl,-soname,$(@F:.$(VERSION)=.$(SOVERSION)) -Wl,-z,defs

$(SHARED_LINKS): $(SHARED)
	@ln -sf $(notdir $<) $@

$(REDIS_SHARED_LINKS): $(REDIS_SHARED)
	@ln -sf $(notdir $<) $@

# Programs: servers and examples as a user would link them, tests with the internal names.
$(foreach s,$(SERVER_SRC),$(eval $(OUT)/$(basename $(notdir $s)): $(OBJ)/$(s:.c=.o)))
define EXAMPLE
$(OUT)/examples/$1: $2
$(if $(NEEDS_$1),
$(OUT)/examples/$1: private LIBS += $$(shell $(PKG_CONFIG) --libs $(NEEDS_$1))
$2: private DEP_CFLAGS += $$(patsubst -I%,-isystem%,$$(shell $(PKG_CONFIG) --cflags $(NEEDS_$1))))
endef
$(foreach n,$(EXAMPLE_NAMES),$(eval $(call EXAMPLE,$n,$(patsubst %.c,$(OBJ)/%.o,\
    $(filter examples/$n.c examples/$n/%,$(EXAMPLE_SRC))))))
ifneq ($(REDIS_STATIC),)
# Where it is left out the chat says so when it is asked to join others.
$(OUT)/examples/chat: $(REDIS_STATIC)
$(OUT)/examples/chat: private LIBS += $(REDIS_LIBS)
$(OBJ)/examples/chat/cluster.o: private DEP_CFLAGS += -DCHAT_REDIS
$(OBJ)/examples/chat/cluster.o: $(REDIS_STATIC) # compiled anew when it comes to be there
endif
$(TEST_PROGRAMS): $(OUT)/%: $(OBJ)/%.o $(OBJ)/support.a $(if $(REDIS_OBJ),$(OBJ)/redis.a) \
                           $(OBJ)/internal.a
$(FUZZERS): $(OUT)/%: $(OBJ)/%.o $(OBJ)/support.a $(OBJ)/internal.a
ifneq ($(VARIANT),fuzz)
$(FUZZERS): $(FUZZ_MAIN:%.c=$(OBJ)/%.o)
endif
$(SOAK): $(SOAK_SRC:%.c=$(OBJ)/%.o)
$(BENCH): $(BENCH_SRC:%.c=$(OBJ)/%.o) $(REDIS_STATIC)
$(BUDGET): $(BUDGET_SRC:%.c=$(OBJ)/%.o)
net_objects = $(patsubst %.c,$(OBJ)/%.o,$(filter $1,$(NET_SRC)))
$(OUT)/test/bench/limit: $(call net_objects,test/bench/limit/%)
$(OUT)/test/bench/load: $(call net_objects,test/bench/load/% $(NET_SHARED))
$(OUT)/test/bench/net: $(call net_objects,test/bench/net/% $(NET_SHARED)) \
                       $(filter-out %/main.o,$(call net_objects,test/bench/load/%))
$(CORE): $(CORE_SRC:%.c=$(OBJ)/%.o)
$(SERVERS) $(EXAMPLES) $(SOAK) $(BENCH) $(BUDGET) $(CORE): $(STATIC)
$(SERVERS) $(EXAMPLES) $(TEST_PROGRAMS) $(FUZZERS) $(SOAK) $(BENCH) $(BUDGET) $(NET) $(CORE):
	$(call say,LINK)
	@mkdir -p $(@D)
	$(Q)$(LINK)

$(OBJ)/support.a: $(TEST_SUPPORT)
	@mkdir -p $(@D)
	@rm -f $@
	$(Q)$(AR) rcs $@ $^

$(SERVERS) $(EXAMPLES) $(SOAK) $(BENCH): LIBS += -Wl,--as-needed -lev -pthread
$(BENCH): LIBS += $(REDIS_LIBS)
$(NET): private LIBS = -Wl,--as-needed $(DEP_LIBS) -lm
$(OUT)/secure: LIBS += -lssl
ifneq ($(REDIS_STATIC),)
$(OUT)/fixture: $(REDIS_STATIC)
$(OUT)/fixture: LIBS += $(REDIS_LIBS)
$(OBJ)/test/conformance/fixture.o: private DEP_CFLAGS += -DFIXTURE_REDIS
endif
$(FUZZERS): LIBS += $(if $(filter fuzz,$(VARIANT)),-fsanitize=fuzzer) -pthread
$(TEST_PROGRAMS): LIBS += -Wl,--as-needed -lcmocka -lev -luv -lssl -pthread $(REDIS_LIBS)

-include $(patsubst %.c,$(OBJ)/%.d,$(LIB_SRC) $(REDIS_SRC) $(EXAMPLE_SRC) $(SERVER_SRC) $(TEST_SRC) $(FUZZ_SRC) \
            $(FUZZ_MAIN) $(SOAK_SRC) $(BENCH_SRC) $(BUDGET_SRC) $(NET_SRC) \
            $(CORE_SRC))

# --- Trying it out ---------------------------------------------------------------------------

DEPS = CC='$(CC)' CXX='$(CXX)' PKG_CONFIG='$(PKG_CONFIG)' LLHTTP_DIR='$(LLHTTP_DIR)' .ci/deps

deps: ## install the packages that building and demo need, where any is missing
	@$(DEPS) demo

deps-check: ## the same for check and its variants
	@$(DEPS) demo examples check

deps-browser: ## the same for check-browser
	@$(DEPS) demo check browser

demo: deps ## a chat to open in your browser
	@$(MAKE) --no-print-directory $(OUT)/examples/chat examples/chat/node_modules/.package-lock.json
	@exec $(OUT)/examples/chat

demo-cluster: deps ## the chat on two servers that a Redis joins
	@$(DEPS) cluster
	@$(MAKE) --no-print-directory $(OUT)/examples/chat examples/chat/node_modules/.package-lock.json
	@exec examples/chat/cluster.sh $(OUT)/examples/chat $(BUILD)/cluster

demo-%: ## another of the examples
	@$(DEPS) demo examples
	@$(MAKE) --no-print-directory $(OUT)/examples/$* examples/chat/node_modules/.package-lock.json
	@exec $(OUT)/examples/$*

%/node_modules/.package-lock.json: %/package-lock.json
	$(call say,NPM ,$*)
	$(Q)cd $* && npm ci --no-audit --no-fund
	@touch $@

# --- Tests: test/run says how each kind is run -----------------------------------------------

# What instructions are counted with: the compiler and how it was called.
COUNT = BUILD='$(BUILD)' CC='$(CC)' BUDGET_FLAGS='$(CPPFLAGS) $(CFLAGS) $(LDFLAGS)'

RUN = $(COUNT) CXX='$(CXX)' MAKE='$(MAKE)' \
      FIXTURE='$(abspath $(OUT)/fixture)' REALTIME='$(abspath $(OUT)/realtime)' \
      EXAMPLES='$(abspath $(OUT)/examples)' \
      EXAMPLES_NEED='$(foreach n,$(EXAMPLE_NAMES),$(NEEDS_$n))' \
      TESTS='$(TESTS)' TEST_SECONDS='$(TEST_SECONDS)' test/run

check: deps-check ## every test but the browser's
	@$(MAKE) --no-print-directory run

check-asan: deps-check ## the C and conformance tests under AddressSanitizer and UBSan
check-ubsan: deps-check ## the same under UBSan alone
check-tsan: deps-check ## the same under ThreadSanitizer
check-asan check-ubsan check-tsan:
	@$(MAKE) --no-print-directory run-variant VARIANT=$(@:check-%=%)

check-browser: deps ## the chat and the game in Chromium
	@if node -e 'process.exit(+(parseInt(process.versions.node) < 20))'; \
	    then $(MAKE) --no-print-directory run-browser; \
	    else echo 'skipped: needs Node 20'; fi

# Thousands of clients that come and die, under ASan; then presence on nodes that do, 10 000 times.
soak: deps-check ## clients, for MINUTES (default 5), and nodes, some minutes more, that fail
	@$(MAKE) --no-print-directory run-soak VARIANT=asan
	@$(MAKE) --no-print-directory run-soak-nodes

run-soak: $(SOAK)
	@$(SOAK) $$(($(MINUTES) * 60)) 4000

run-soak-nodes: $(OUT)/test/sim/nodes
	@SEEDS=10000 $<

# With WORKLOADS, only those on the network.
bench: deps ## 15 minutes: speed and memory beside a bare epoll server (ROUNDS, DURATION, JSON...)
	@$(DEPS) bench
	@$(MAKE) --no-print-directory run-bench
	@$(if $(WORKLOADS),,$(MAKE) --no-print-directory run-bench-core JSON='$(JSON:.json=-core.json)')

run-bench: $(OUT)/fixture $(NET)
	@mkdir -p '$(PLOTS)'
	@$(OUT)/test/bench/net $(if $(ROUNDS),--rounds '$(ROUNDS)') \
	    $(if $(DURATION),--duration '$(DURATION)') $(if $(WORKLOADS),--workloads '$(WORKLOADS)') \
	    $(if $(SERVER),--server '$(SERVER)') $(if $(JSON),--json '$(JSON)') --plots '$(PLOTS)' \
	    --markdown '$(PLOTS)/bench.md' --commit "$$(git describe --always --dirty 2>/dev/null)"

bench-core: deps ## 5 minutes: the library alone, with up to UP_TO (1000000) in memory
	@$(DEPS) bench
	@$(MAKE) --no-print-directory run-bench-core

run-bench-core: $(CORE)
	@mkdir -p '$(PLOTS)/core'
	@$(CORE) $(if $(UP_TO),--clients '$(UP_TO)') $(if $(JSON),--json '$(JSON)') \
	    --data '$(PLOTS)/core' --markdown '$(PLOTS)/core/core.md' \
	    --commit "$$(git describe --always --dirty 2>/dev/null)"
	@gnuplot -c test/bench/core/plots.gp '$(PLOTS)/core'

bench-cluster: deps-check ## what several nodes cost: CPU, latency, bytes (JSON=FILE: there too)
	@$(MAKE) --no-print-directory run-bench-cluster

run-bench-cluster: $(BENCH)
	@$(or $(BENCH),$(error it needs hiredis)) $(if $(JSON),--json '$(JSON)') \
	    --commit "$$(git describe --always --dirty 2>/dev/null)"

budget: deps-check ## make what each workload needs now its budget of instructions
	@$(MAKE) --no-print-directory run-budget BUDGET_MODE=write

profile: deps-check ## where the instructions go (WORKLOAD=echo: of that one, by functions)
	@$(MAKE) --no-print-directory run-budget BUDGET_MODE='profile $(WORKLOAD)'

run-budget: $(BUDGET)
	@$(COUNT) test/budget/run $(BUDGET_MODE)

fuzz: deps ## look for crashes for MINUTES (default 5), with clang's libFuzzer
	@$(DEPS) demo fuzz
	@$(MAKE) --no-print-directory run-fuzz VARIANT=fuzz CC='$(FUZZ_CC)'

run-fuzz: $(FUZZERS)
	@test/fuzz/run $(MINUTES) '$(BUILD)' $(FUZZERS)

run: all tests $(NODE_MODULES)
	@$(RUN) $(TEST_PROGRAMS) $(FUZZERS) $(SOAK) $(wildcard test/build/*.sh) $(CONFORMANCE) $(CLIENTS) \
	    $(HOSTILE) $(CLUSTER) $(EXAMPLE_TESTS) $(if $(BENCH),$(wildcard test/bench/*.sh)) \
	    $(wildcard test/bench/*/*.sh) test/budget/run

# gcc 12's ThreadSanitizer cannot start under the wider address randomisation of newer kernels.
run-variant: tests $(NODE_MODULES)
	@$(if $(filter tsan,$(VARIANT)),$$(setarch -R true 2>/dev/null && echo setarch -R) env) \
	    $(RUN) $(TEST_PROGRAMS) $(FUZZERS) $(SOAK) $(CONFORMANCE)

run-browser: deps-browser $(OUT)/fixture $(OUT)/examples/chat $(OUT)/examples/game $(NODE_MODULES)
	@$(RUN) $(BROWSER)

# --- Installing ------------------------------------------------------------------------------

INSTALLED = $(addprefix $(DESTDIR)$(LIBDIR)/,$(notdir $(STATICS) $(SHAREDS) $(LINKS))) \
            $(HEADERS:include/%=$(DESTDIR)$(INCLUDEDIR)/%) \
            $(foreach m,$(MAN),$(DESTDIR)$(MANDIR)/man$(subst .,,$(suffix $m))/$(notdir $m)) \
            $(PC:%=$(DESTDIR)$(PKGCONFIGDIR)/%.pc)

install: lib ## below $(DESTDIR)$(PREFIX)
	install -d $(sort $(dir $(INSTALLED)))
	install -m 644 $(STATICS) $(DESTDIR)$(LIBDIR)
	install -m 755 $(SHAREDS) $(DESTDIR)$(LIBDIR)
	cp -P $(LINKS) $(DESTDIR)$(LIBDIR)
	for h in $(HEADERS:include/%=%); do \
	    install -m 644 include/$$h $(DESTDIR)$(INCLUDEDIR)/$$h || exit; done
	for m in $(MAN); do \
	    install -m 644 $$m $(DESTDIR)$(MANDIR)/man$${m##*.} || exit; done
	for pc in $(PC); do \
	    sed -e 's|@PREFIX@|$(PREFIX)|' -e 's|@VERSION@|$(VERSION)|' \
	        -e 's|@LIBDIR@|$(patsubst $(PREFIX)/%,$${prefix}/%,$(LIBDIR))|' \
	        -e 's|@INCLUDEDIR@|$(patsubst $(PREFIX)/%,$${prefix}/%,$(INCLUDEDIR))|' \
	        -e 's|@DEP_PC@|$(DEP_PC)|' -e 's|@DEP_PLAIN@|$(DEP_PLAIN)|' \
	        -e 's|@REDIS_PC@|$(REDIS_PC)|' pkgconfig/$$pc.pc.in \
	        > $(DESTDIR)$(PKGCONFIGDIR)/$$pc.pc || exit; \
	    chmod 644 $(DESTDIR)$(PKGCONFIGDIR)/$$pc.pc || exit; done

uninstall: ## take away what install put there
	rm -f $(INSTALLED)
	find $(DESTDIR)$(INCLUDEDIR)/channels -depth -type d -empty -delete 2>/dev/null || true

dist: ## the last commit as build/libchannels-VERSION.tar.gz
	@mkdir -p $(BUILD)
	git archive --prefix=libchannels-$(VERSION)/ -o $(BUILD)/libchannels-$(VERSION).tar.gz HEAD

clean: ## remove everything that was built
	rm -rf $(BUILD)

help: ## this list
	@awk -F ':.*## ' '/^[a-z%-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' Makefile

FORCE:
.PHONY: all lib tests deps deps-check deps-browser demo demo-cluster check check-asan \
        check-ubsan check-tsan check-browser soak bench bench-core bench-cluster budget profile \
        fuzz run run-variant run-browser run-soak run-soak-nodes run-bench run-bench-core \
        run-bench-cluster run-budget run-fuzz install uninstall dist clean help FORCE
