#!/usr/bin/env bash
# Direct, PgBouncer and Palisade side by side: bench/speed/run.sh [--short] [--help]
#
# Starts an installation of the release build and a PgBouncer (Debian's package) before the same PostgreSQL, runs each
# workload on each of them in turn, and writes bench/results/proxies-DATE.json, .md and .svg. Takes about 40 minutes;
# --short takes three.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
ulimit -n "$(ulimit -Hn)"
exec python3 bench/speed/compare.py "$@"
