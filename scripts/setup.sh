#!/usr/bin/env bash
# Makes a machine with Rust, Node and Python 3 ready to build and run Troupe. Everything is pinned: the toolchain in
# rust-toolchain.toml, npm tools in package-lock.json, the local model in scripts/local_model.py. Done work is not
# done again, so this costs well under a second when there is nothing to do.
set -euo pipefail
cd "$(dirname "$0")/.."

target=wasm32-unknown-unknown

fail() {
    printf 'setup: %s\n' "$@" >&2
    exit 1
}

rust() {
    local channel
    channel=$(sed -nE 's/^channel *= *"([^"]+)".*/\1/p' rust-toolchain.toml)
    command -v cargo >/dev/null ||
        fail "Rust is missing. Install it with rustup (https://rustup.rs), then run this again."
    if command -v rustup >/dev/null; then
        # rustup may be told not to install toolchains by itself, so ask in so many words.
        if ! rustup run "$channel" rustc --version >/dev/null 2>&1; then
            echo "setup: installing Rust $channel"
            rustup toolchain install "$channel" --profile minimal --component rustfmt --component clippy \
                --no-self-update ||
                fail "rustup could not install Rust $channel (see above; is this machine offline?)."
        fi
        if [[ ! -d $(rustc --print sysroot)/lib/rustlib/$target ]]; then
            echo "setup: adding the Rust target $target"
            rustup target add "$target" --toolchain "$channel" ||
                fail "rustup could not add $target to Rust $channel (see above; is this machine offline?)."
        fi
    elif [[ ! -d $(rustc --print sysroot)/lib/rustlib/$target ]]; then
        fail "this Rust was not installed by rustup and has no target $target." \
            "Install your distribution's package for it, or Rust $channel with rustup (https://rustup.rs)."
    fi
}

node_tools() {
    command -v node >/dev/null || fail "Node is missing. Install Node 20 or newer (https://nodejs.org)."
    command -v npm >/dev/null || fail "npm is missing. It usually comes with Node; Debian has it as the package 'npm'."
    local major
    major=$(node -p 'process.versions.node.split(".")[0]')
    ((major >= 20)) || fail "Node $major is too old; Troupe needs Node 20 or newer."
    # The copy of the lockfile is written last: it says that this very set of tools is complete.
    if ! cmp -s package-lock.json node_modules/.installed-lock.json; then
        echo "setup: installing the npm build tools"
        npm ci --no-fund --no-audit --loglevel=error ||
            fail "npm could not install the build tools (see above; is this machine offline?)."
        cp package-lock.json node_modules/.installed-lock.json
    fi
}

local_model() {
    local python=${PYTHON:-python3}
    command -v "$python" >/dev/null || fail "Python 3 is missing ($python). Install Python 3.10 or newer."
    "$python" scripts/local_model.py
}

# Two at once in one clone would install over each other; where there is no flock, they'd better not be started.
if command -v flock >/dev/null; then
    mkdir -p "${CARGO_TARGET_DIR:-target}"
    exec 9>"${CARGO_TARGET_DIR:-target}/setup.lock"
    flock 9
fi

rust
node_tools
local_model
