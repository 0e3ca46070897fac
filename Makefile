# `make` or `make help` lists the targets.
.DEFAULT_GOAL := help
CARGO ?= cargo

SEED ?= 1
KILLS ?= 200
MINUTES ?= 0
.PHONY: help run test chaos redis lint fmt bench

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: ## Run everything in one process: the simulated database, the journal, the levelling
	$(CARGO) run --release --locked --quiet --bin evenkeel -- run

test: redis ## Run all tests
	$(CARGO) test --workspace --locked
	$(CARGO) test --package evenkeel-actors --features faults --locked --lib kills
	KILLS=2 $(CARGO) test --features faults --locked --test chaos
	@echo
	@echo "not run: a power cut, because a process cannot cut it"
	@echo "not run: retention at full size (5 million entries, 24 hours), because it takes hours"

chaos: redis ## Kill and stop server, client and Redis at random: SEED=1 KILLS=200 MINUTES=0
	SEED=$(SEED) KILLS=$(KILLS) MINUTES=$(MINUTES) $(CARGO) test --locked --release --test chaos

redis: ## Install redis-server, which tests start, where it is missing
	@command -v redis-server redis-cli >/dev/null && exit; \
	[ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null || \
	{ echo "redis-server is missing: install it, for instance with \`sudo apt-get install redis-server\`" >&2; exit 1; }; \
	apt-get update -qq && apt-get install -qq -y --no-install-recommends redis-server

lint: ## Formatting, clippy and documentation, with warnings as errors
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps --locked --quiet

fmt: ## Format the sources
	$(CARGO) fmt --all

bench: ## Levelling tables, estimates, the outbox, live against virtual: half an hour
	$(CARGO) build --release --locked --quiet
	target/release/evenkeel simulate --scenario all --policy all --seeds 1..3
	$(CARGO) bench --locked --quiet --package evenkeel-core --bench estimates -- seed 1 10 3000,20000
	$(CARGO) bench --locked --quiet --package evenkeel-actors --bench outbox
	$(CARGO) bench --locked --quiet --bench live
