#!/usr/bin/env bash
# The browser for the end-to-end tests: the system's Chromium at /usr/bin/chromium (Debian and its kin).
set -euo pipefail

[[ -x /usr/bin/chromium ]] && exit 0

if ! command -v apt-get >/dev/null; then
    echo "browser: the browser tests want Chromium at /usr/bin/chromium; install it with your package manager." >&2
    exit 1
fi
if [[ $(id -u) -ne 0 ]]; then
    echo "browser: Chromium is missing. Run: sudo apt-get update && sudo apt-get install -y chromium" >&2
    exit 1
fi
echo "browser: installing Chromium"
export DEBIAN_FRONTEND=noninteractive
if ! { apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium >/dev/null; }; then
    echo "browser: apt-get could not install Chromium (see above; is this machine offline?)" >&2
    exit 1
fi
if [[ ! -x /usr/bin/chromium ]]; then
    echo "browser: apt-get installed no /usr/bin/chromium; put a Chromium there." >&2
    exit 1
fi
