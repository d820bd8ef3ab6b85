# Sallyport: `make` builds, `make run` serves a disk, `make test` proves it.
#
#   make [CC=clang] [O=0] [SAN=address,undefined]   build into build/ (or build-<what>/)
#   make run        a gateway on loopback, in the foreground, with its state in run/
#   make test       every test that is quick; ONLY=AREA for one area
#   make test-kernel   Linux guests in QEMU as initiators
#   make bench      the gateway beside tgt and a bare echo: rates, processor time, latency
#   make bench-audit   what the audit trail costs, against a build without it (UNAUDITED=1)
#   make bench-tls     what the encrypted portal costs, beside stunnel + tgt
#   make evidence   figures of access control: who is refused how, how fast a ban is, a login's time
#   make lint       formatting, static analysis, style figures
#   make fuzz       every fuzz target for FUZZ_SECONDS each
#   make soak       what takes long
#   make install    into DESTDIR and PREFIX

VERSION := 0.1
PREFIX  := /usr/local
comma   := ,
ifeq ($(origin CC),default)
CC := gcc
endif
O   := 2
SAN :=
UNAUDITED :=
variant := $(if $(filter clang%,$(CC)),-clang)$(if $(filter-out 2,$(O)),-O$(O))$(if $(SAN),-$(subst $(comma),-,$(SAN)))$(if $(UNAUDITED),-unaudited)
B := build$(variant)

WARN := -Wall -Wextra -Wshadow -Wconversion -Wvla -Wformat=2 -Wimplicit-fallthrough \
	-Wmissing-prototypes -Wstrict-prototypes -Wpointer-arith -Wundef -Werror
# Not for gcc: 12.2 clears octets that are no padding in initialised arrays of structures. clang 14 and
# 15 want to be asked twice.
ZERO := -ftrivial-auto-var-init=zero \
	-enable-trivial-auto-var-init-zero-knowing-it-will-be-removed-from-clang
HARDEN := -fstack-protector-strong -fstack-clash-protection -fcf-protection -fPIE \
	$(if $(filter clang%,$(CC)),$(ZERO)) $(if $(SAN)$(filter 0,$(O)),,-D_FORTIFY_SOURCE=2)
CFLAGS := -std=gnu11 -g -O$(O) $(WARN) $(HARDEN) -ffunction-sections -fdata-sections -MMD -MP -I. \
	-D_GNU_SOURCE -DSALLYPORT_VERSION='"$(VERSION)"' $(if $(UNAUDITED),-DSALLYPORT_UNAUDITED) \
	$(if $(SAN),-fsanitize=$(SAN) -fno-omit-frame-pointer -fno-sanitize-recover=all) $(EXTRA_CFLAGS)
# The session is optimised as a whole, which spares it one instruction in eight. Whatever else is linked
# from the same objects takes what is compiled already. gcc alone: clang would need another linker.
LTO := $(if $(SAN)$(filter 0,$(O))$(filter clang%,$(CC)),,-flto -ffat-lto-objects -flto-partition=one)
LDFLAGS := -pie -Wl,-z,relro,-z,now -Wl,--gc-sections -Wl,--as-needed $(if $(SAN),-fsanitize=$(SAN))
SESSION_LIBS := -luring -lseccomp -lisal -lpthread
TLS_LIBS := -lssl -lcrypto -lsodium
LIBS := $(SESSION_LIBS) $(TLS_LIBS) -lyaml -lnftnl -lmnl -ljansson -lidn -lzstd -lsqlite3

FOLDERS := $(wildcard gateway/*) auth policy backends
MAINS   := gateway/cli/main.c gateway/session/main.c gateway/session/main_tls.c
SOURCES := $(filter-out $(MAINS),$(foreach f,$(FOLDERS),$(wildcard $(f)/*.c)))
OBJECTS := $(SOURCES:%.c=$(B)/%.o)
LIB     := $(B)/libsallyport.a
BENCHES := $(patsubst %.c,$(B)/%,$(wildcard tests/bench/*.c))
TESTS   := $(patsubst %.c,$(B)/%,$(wildcard tests/unit/*.c tests/protocol/*.c))
F       := build-fuzz
FUZZERS := $(patsubst tests/fuzz/%.c,$(F)/%,$(wildcard tests/fuzz/*.c))
FUZZ_SECONDS := 20
# What faces strangers and their octets is run this often by `make soak`, and so fast, or it fails;
# commands from two sessions at once, as often.
SOAKED     := text_keys login pdu
SOAKED_TOO := cdb
FUZZ_RUNS  := 10000000
FUZZ_RATE  := 20000

.PHONY: all run test bench bench-audit bench-tls evidence fuzz-soak test-kernel lint fuzz soak install clean tests
.DELETE_ON_ERROR:
.SECONDARY:
all: $(B)/sallyport $(B)/sallyport-session $(B)/sallyport-session-tls

# A fresh machine has make and nothing else: the stamp installs, or names, what is missing.
$(B)/.deps-%: deploy/install-deps.sh
	@mkdir -p $(@D) && sh deploy/install-deps.sh $* && touch $@

$(B)/%.o: %.c | $(B)/.deps-build
	@mkdir -p $(@D)
	@echo "  CC $<"; $(CC) $(CFLAGS) $(LTO) -c -o $@ $<

# Which no session is linked from.
$(B)/gateway/cli/%.o $(B)/gateway/monitor/%.o $(B)/policy/%.o $(B)/tests/%.o: LTO :=

# The report's page is within the program: .incbin tells no dependency.
$(B)/gateway/cli/report_assets.o $(F)/objects/gateway/cli/report_assets.o: \
	$(wildcard gateway/cli/report/* gateway/cli/report/uplot/*)

# One archive of all rooms: a program takes from it what it needs. Two functions of one name would be
# linked by chance, so that is an error.
$(LIB): $(OBJECTS)
	@rm -f $@
	@$(AR) qcs $@ $^
	@nm -g --defined-only $@ | awk 'NF == 3 { print $$3 }' | sort | uniq -d | sed 's/^/defined twice: /' | \
		{ ! grep . ; }

$(B)/sallyport: $(B)/gateway/cli/main.o $(LIB)
	@echo "  LD $@"; $(CC) -fno-lto $(LDFLAGS) -o $@ $^ $(LIBS)

$(B)/sallyport-session: $(B)/gateway/session/main.o $(LIB)
	@echo "  LD $@"; $(CC) $(CFLAGS) $(LTO) $(LDFLAGS) -o $@ $^ $(SESSION_LIBS)

$(B)/sallyport-session-tls: $(B)/gateway/session/main_tls.o $(LIB)
	@echo "  LD $@"; $(CC) $(CFLAGS) $(LTO) $(LDFLAGS) -o $@ $^ $(SESSION_LIBS) $(TLS_LIBS)

$(B)/tests/%: $(B)/tests/%.o $(LIB)
	@echo "  LD $@"; $(CC) -fno-lto $(LDFLAGS) -o $@ $^ -lcmocka $(LIBS)

$(TESTS:%=%.o): | $(B)/.deps-test

tests: $(TESTS) $(BENCHES)

run: all
	@sh deploy/run-demo.sh $(B)

test: $(B)/.deps-test all tests
	@python3 tests/run.py --build $(B) $(if $(SAN),--sanitized) $(if $(ONLY),--only $(ONLY))

# The guest is made of Debian's packages, once, in build/kernel.
test-kernel: $(B)/.deps-kernel $(B)/.deps-test all $(B)/tests/unit/tls_kernel
	@SALLYPORT_BUILD=$(B) python3 -B tests/kernel/lib/image.py
	@python3 tests/run.py --build $(B) --kernel

soak: $(B)/.deps-test $(B)/.deps-kernel all tests
	@SALLYPORT_BUILD=$(B) python3 -B tests/kernel/lib/image.py
	@python3 tests/run.py --build $(B) --soak $(if $(ONLY),--only $(ONLY))
	@$(if $(ONLY),,$(MAKE) fuzz-soak)

# Prints; what is measured depends on the machine, so nothing of it is judged. ONLY=refusals for one.
evidence: $(B)/.deps-test all $(B)/tests/evidence/store_fill
	@SALLYPORT_BUILD=$(B) PYTHONPATH=tests python3 -B -m evidence $(ONLY)

# Prints; what is measured depends on the machine, so nothing of it is judged. ROUNDS=9 for more of it.
# As root, for tgtd and istgt. TARGET=iscsi://HOST/NAME/LUN for one more, FOLDER=/dev/shm for files there.
bench: $(B)/.deps-bench all $(BENCHES)
	@SALLYPORT_BUILD=$(B) PYTHONPATH=tests python3 -B -m bench

# The same, of the audit trail.
bench-audit: $(B)/.deps-test all $(BENCHES)
	@$(MAKE) UNAUDITED=1 all
	@SALLYPORT_BUILD=$(B) PYTHONPATH=tests python3 -B -m bench.audit $(ROUNDS)

# The same for portals with TLS; as root, for tgtd. ROUNDS=3 for a quick look.
bench-tls: $(B)/.deps-bench all $(BENCHES)
	@SALLYPORT_BUILD=$(B) PYTHONPATH=tests python3 -B -m bench.tls $(ROUNDS)

lint: $(B)/.deps-test
	@sh tests/lint.sh

FUZZ_FLAGS := -O1
FUZZ_CC := clang $(filter-out -O2 -D_FORTIFY_SOURCE=2,$(CFLAGS)) $(FUZZ_FLAGS) -fno-sanitize-recover=all
$(F)/objects/%.o: %.c | $(B)/.deps-test
	@mkdir -p $(@D); echo "  CC   $@"
	@$(FUZZ_CC) -fsanitize=fuzzer-no-link,address,undefined -c -o $@ $<

$(F)/libsallyport.a: $(SOURCES:%.c=$(F)/objects/%.o)
	@rm -f $@
	@$(AR) qcs $@ $^

$(F)/%: tests/fuzz/%.c $(F)/libsallyport.a
	@echo "  FUZZ $@"
	@$(FUZZ_CC) -fsanitize=fuzzer,address,undefined -o $@ $(filter-out %.h,$^) $(LIBS)

fuzz: $(FUZZERS)
	@sh tests/fuzz/run.sh $(FUZZ_SECONDS) $(FUZZERS)

# Without the tracing of comparisons, which `make fuzz` has, an execution costs half.
fuzz-soak:
	@$(MAKE) F=build-soak FUZZ_FLAGS='-O2 -fno-sanitize-coverage=trace-cmp' \
		$(SOAKED:%=build-soak/%) $(SOAKED_TOO:%=build-soak/%)
	@FUZZ_RUNS=$(FUZZ_RUNS) FUZZ_RATE=$(FUZZ_RATE) sh tests/fuzz/run.sh 0 $(SOAKED:%=build-soak/%)
	@FUZZ_RUNS=$(FUZZ_RUNS) sh tests/fuzz/run.sh 0 $(SOAKED_TOO:%=build-soak/%)

install: all
	$(if $(UNAUDITED),$(error A build without its audit is not installed))
	install -D $(B)/sallyport $(DESTDIR)$(PREFIX)/bin/sallyport
	install -D -t $(DESTDIR)$(PREFIX)/libexec/sallyport $(B)/sallyport-session $(B)/sallyport-session-tls
	sh deploy/install-files.sh "$(DESTDIR)" "$(PREFIX)"

clean:
	rm -rf build build-*

-include $(OBJECTS:.o=.d) $(SOURCES:%.c=$(F)/objects/%.d) $(FUZZERS:%=%.d) $(TESTS:%=%.d) $(BENCHES:%=%.d) $(MAINS:%.c=$(B)/%.d)
