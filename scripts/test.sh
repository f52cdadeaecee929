#!/usr/bin/env bash
# Runs the Rust tests of the packages named by the arguments (cargo's own selection flags).
# cargo-nextest runs them faster and isolates each test in a process; without it cargo's own runner does.
set -euo pipefail
cd "$(dirname "$0")/.."

if cargo nextest --version >/dev/null 2>&1; then
    cargo nextest run --locked --no-fail-fast "$@"
    # nextest leaves documentation tests to cargo. Of the same packages: for others cargo would turn on other features of
    # what is below them, and build all of that a second time.
    exec cargo test --locked --doc "$@"
fi
exec cargo test --locked --no-fail-fast "$@"
