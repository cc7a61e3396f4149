#!/bin/sh
# Runs the full form of the fault tests against the released binary: the tests take the one in the folder above theirs.
set -eu
cd "$(dirname "$0")/.."
tests=$(cargo test --locked --workspace --test faults --no-run --message-format=json 2>/dev/null |
	sed -n 's/.*"executable":"\([^"]*\/faults-[^"]*\)".*/\1/p' | tail -1)
mkdir -p ../target/release/deps
cp "$tests" ../target/release/deps/faults
export TRACEHOUND_FAULTS=full
exec ../target/release/deps/faults --nocapture --test-threads=1 "$@"
