#!/usr/bin/env bash
# What each lets through: bench/leak/compare.sh DEV_ENV [--seconds N] [--seed N] [--threads N] [--help]
#
# The leak test against a running installation, each of its walls alone, a plain PostgreSQL and PgBouncer (Debian: pgbouncer)
# in the same cluster. Writes bench/results/leak-comparison-DATE.json and .md.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
[ $# -ge 1 ] || { echo "usage: bench/leak/compare.sh DEV_ENV [--seconds N] [--seed N] [--threads N]" >&2; exit 2; }
. "$1"; shift
exec python3 bench/leak/compare.py "$@"
