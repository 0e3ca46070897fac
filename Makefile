# `make` or `make help` lists the targets.
.DEFAULT_GOAL := help
CARGO ?= cargo

SEED ?= 1
KILLS ?= 200
MINUTES ?= 0
.PHONY: help run test chaos tools lint fmt bench

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: ## Run everything in one process: the simulated database, the journal, the levelling
	$(CARGO) run --release --locked --quiet --bin evenkeel -- run

test: tools ## Run all tests
	$(CARGO) test --workspace --locked
	$(CARGO) test --package evenkeel-actors --features faults --locked --lib kills
	KILLS=2 $(CARGO) test --features faults --locked --test chaos
	@echo
	@echo "not run: a power cut, because a process cannot cut it"
	@echo "not run: retention at full size (5 million entries, 24 hours), because it takes hours"

chaos: tools ## Kill and stop server, client and Redis at random: SEED=1 KILLS=200 MINUTES=0
	SEED=$(SEED) KILLS=$(KILLS) MINUTES=$(MINUTES) $(CARGO) test --locked --release --test chaos

tools: ## Install what tests start, where it is missing: redis-server, faketime
	@command -v redis-server >/dev/null && command -v faketime >/dev/null && exit; \
	if [ "$$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then \
		echo "redis-server or faketime is missing: install them, as with \`sudo apt-get install redis-server faketime\`" >&2; exit 1; \
	fi; \
	apt-get update -qq && apt-get install -qq -y --no-install-recommends redis-server faketime

lint: ## Formatting, clippy and documentation, with warnings as errors
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps --locked --quiet

fmt: ## Format the sources
	$(CARGO) fmt --all

bench: tools ## Levelling tables, budgets, estimates, the outbox, live and over Redis against virtual: hours
	$(CARGO) build --release --locked --quiet
	target/release/evenkeel simulate --scenario all --policy all --seeds 1..3
	$(CARGO) bench --locked --quiet --package evenkeel-core --bench levelling
	$(CARGO) bench --locked --quiet --package evenkeel-core --bench estimates -- seed 1 10 3000,20000
	$(CARGO) bench --locked --quiet --package evenkeel-actors --bench outbox
	$(CARGO) bench --locked --quiet --bench redis
	$(CARGO) bench --locked --quiet --bench live
