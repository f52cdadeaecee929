#!/usr/bin/env bash
# Runs the engine's tests of runs under an unreliable delivery, and with two engines on one database (see
# engine/tests/engine/stage/delivery.rs). Takes the package flags of scripts/test.sh: with others, cargo rebuilds.
set -euo pipefail
cd "$(dirname "$0")/.."

log=$(mktemp)
trap 'rm -f "$log"' EXIT
for delivery in unreliable two; do
    echo "deliveries: $delivery"
    TROUPE_TEST_DELIVERY=$delivery cargo test --locked -q "$@" --test engine -- \
        runs:: kinds:: faults:: inbox:: --skip a_caller_of_a_thousand --skip limits_that_came | tee "$log"
    # A filter that matches nothing passes, too.
    grep -qE '^test result: ok\. [1-9][0-9]+ passed' "$log"
done
