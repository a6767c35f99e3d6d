#!/usr/bin/env bash
# How much of the control plane and of the policies their tests reach, in lines. Needs the component llvm-tools of the Rust
# toolchain (rustup component add llvm-tools), and what ./dev test needs.
#
#   infra/coverage.sh [LEAST]       fails below so many per cent (80) of the lines of either
#
# Only our own crates are instrumented: what they depend on is built as usual.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
least=${1:-80}
sysroot=$(rustc --print sysroot)
tools=$(dirname "$(find "$sysroot/lib/rustlib" -name llvm-profdata | head -n 1)")
[ -x "$tools/llvm-cov" ] || { echo "coverage: llvm-tools are missing: rustup component add llvm-tools" >&2; exit 1; }
export CARGO_TARGET_DIR=${COVERAGE_TARGET_DIR:-$PWD/target/coverage}
profiles=$CARGO_TARGET_DIR/profiles
rm -rf "$profiles"; mkdir -p "$profiles"
wrapper=$CARGO_TARGET_DIR/instrument
printf '#!/bin/sh\nexec "$@" -C instrument-coverage\n' > "$wrapper"
chmod +x "$wrapper"
export RUSTC_WORKSPACE_WRAPPER=$wrapper LLVM_PROFILE_FILE="$profiles/%p-%4m.profraw"

# The tests that reach the control plane run it as a process; policies has its own.
tests=(access audit command_line copies crash effective end_to_end events exports migrations policy requests retention
  rollback server_tls settings templates warm_pool)
arguments=()
for name in "${tests[@]}"; do arguments+=(--test "$name"); done
build() { cargo test --locked --no-run --message-format json "$@" | grep -o '"executable":"[^"]*"' | cut -d'"' -f4; }
objects=$( { build -p palisade-policies; build -p palisade-control-plane; build -p palisade "${arguments[@]}"; } | sort -u)
cargo test --locked -p palisade-policies -p palisade-control-plane --no-fail-fast
cargo test --locked -p palisade "${arguments[@]}" --no-fail-fast

"$tools/llvm-profdata" merge --sparse "$profiles"/*.profraw -o "$profiles/all.profdata"
flags=()
for object in $objects; do flags+=(--object "$object"); done
for part in policies/src control-plane/src; do
  "$tools/llvm-cov" export --summary-only --instr-profile "$profiles/all.profdata" "${flags[@]}" --sources "$PWD/$part" |
    python3 -c '
import json, sys
part, least = sys.argv[1], float(sys.argv[2])
lines = json.load(sys.stdin)["data"][0]["totals"]["lines"]
print("%s: %.1f %% of %d lines" % (part, lines["percent"], lines["count"]))
sys.exit(lines["percent"] < least)' "$part" "$least"
done
