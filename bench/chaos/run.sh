#!/usr/bin/env bash
# A crowd of tenants' clients with faults: bench/chaos/run.sh DEV_ENV [--duration S] [--seed N] [--tenants N] [--clients N] [--calm] [--upgrades PROGRAM]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
[ $# -ge 1 ] || { echo "usage: bench/chaos/run.sh DEV_ENV [--duration S] [--seed N] [--tenants N] [--clients N] [--calm] [--upgrades PROGRAM]" >&2; exit 2; }
env_file=$1; shift
cargo build -q --locked -p palisade-bench --bin chaos
exec "${CARGO_TARGET_DIR:-target}/debug/chaos" --env "$env_file" "$@"
