# `make run` is all a newcomer needs; `make help` lists the rest.
# Everything that is downloaded is cached outside the repository (see scripts/setup.sh).

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

TARGET := $(abspath $(or $(CARGO_TARGET_DIR),target))
# `frontend` turns on the browser half of Leptos, which cannot be built together with the server half.
# So is `xtask`, which the site's build compiles by itself: among the others it would have other features of what is below
# it, and all of that would be built twice.
NATIVE := --workspace --exclude frontend --exclude xtask

# Where the server and the end-to-end tests find what `make build` made, wherever cargo puts it.
export LEPTOS_OUTPUT_NAME := troupe
export LEPTOS_SITE_ROOT := $(TARGET)/site
export TROUPE_BIN := $(TARGET)/release/troupe

.PHONY: help
help: ## Show what there is
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: setup
setup: ## Install the wasm target, the npm build tools and the local model (all pinned)
	@scripts/setup.sh

.PHONY: site
site: setup
	@cargo xtask front --release

.PHONY: server
server: setup
	@cargo build --release --locked -p server

.PHONY: build
build: setup ## Build the release: target/release/troupe and target/site
	@$(MAKE) --no-print-directory -j2 site server

.PHONY: run
run: build ## Set up, build, migrate, seed and start (PORT, TROUPE_LISTEN, TROUPE_DATA are honoured)
	@exec "$$TROUPE_BIN" serve

.PHONY: test
test: setup ## All tests: domain, engine, server, then the release build in a real browser
	@scripts/browser.sh
	@python3 scripts/test_local_model.py
	@scripts/test.sh $(NATIVE)
	@scripts/deliveries.sh $(NATIVE)
	@cargo test --locked -q -p xtask
	@$(MAKE) --no-print-directory build
	@cd end2end && npm ci --no-fund --no-audit && npx playwright test

.PHONY: deliveries
deliveries: setup ## The tests of runs under deliveries that lose, repeat and delay, and with two engines on one database
	@scripts/deliveries.sh $(NATIVE)

.PHONY: unit
unit: setup ## The tests that need no browser
	@scripts/test.sh $(NATIVE)
	@cargo test --locked -q -p xtask

.PHONY: check
check: setup ## Formatting, clippy for the server and the browser, unit tests
	cargo fmt --all --check
	cargo clippy --locked $(NATIVE) --all-targets -- -D warnings
	cargo clippy --locked -p xtask --all-targets -- -D warnings
	cargo clippy --locked -p frontend --features split --target wasm32-unknown-unknown -- -D warnings
	@scripts/test.sh $(NATIVE)
	@cargo test --locked -q -p xtask

.PHONY: bench
bench: build ## Measure the release build, on the wire and in the browser, and print tables
	@cargo build --release --locked -q -p scripted -p bench
	@$(TARGET)/release/bench
	@scripts/browser.sh
	@cd end2end && npm ci --no-fund --no-audit --silent && npx playwright test -c measure.config.ts

.PHONY: fmt
fmt: ## Format the sources
	cargo fmt --all
