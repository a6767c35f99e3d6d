#!/usr/bin/env bash
# Measures the control plane against its goals, on a private installation of its own, and writes
# bench/results/provisioning-<date>.json and .md. Wants the built command; takes about half an hour with 5,000 tenants.
#
#   bench/provisioning/run.sh [--tenants 5000] [--samples 100] [--binary target/release/palisade] [--out FOLDER]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
binary=target/release/palisade
[ -x "$binary" ] || binary=target/debug/palisade
exec python3 bench/provisioning/measure.py --binary "$binary" "$@"
