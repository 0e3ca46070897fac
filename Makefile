# `make` or `make help` lists the targets.
.DEFAULT_GOAL := help
CARGO ?= cargo

.PHONY: help run test lint fmt bench

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: ## Run everything in one process: the simulated database, the journal, the levelling
	$(CARGO) run --release --locked --quiet --bin evenkeel -- run

test: ## Run all tests
	$(CARGO) test --workspace --locked
	$(CARGO) test --package evenkeel-actors --features faults --locked --lib kills
	@echo
	@echo "not run: a power cut, because a process cannot cut it"
	@echo "not run: retention at full size (5 million entries, 24 hours), because it takes hours"

lint: ## Formatting, clippy and documentation, with warnings as errors
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps --locked --quiet

fmt: ## Format the sources
	$(CARGO) fmt --all

bench: ## Levelling tables, estimates, the outbox, live against virtual: an hour
	$(CARGO) build --release --locked --quiet
	target/release/evenkeel simulate --scenario all --policy all --seeds 1..3
	$(CARGO) bench --locked --quiet --package evenkeel-core --bench levelling
	$(CARGO) bench --locked --quiet --package evenkeel-core --bench estimates -- seed 1 10 3000,20000
	$(CARGO) bench --locked --quiet --package evenkeel-actors --bench outbox
	$(CARGO) bench --locked --quiet --bench live
