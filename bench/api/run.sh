#!/usr/bin/env bash
# Asks a running API of its own everything that its description allows, and much that it does not (schemathesis): no
# server error, no answer that is not described. Installs schemathesis beside the built command, from PyPI.
#
#   bench/api/run.sh [--examples 40] [--binary target/debug/palisade]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
examples=40 binary=target/debug/palisade
while [ $# -gt 0 ]; do
  case "$1" in
    --examples) examples=$2; shift 2 ;;
    --binary) binary=$2; shift 2 ;;
    *) echo "usage: bench/api/run.sh [--examples N] [--binary FILE]" >&2; exit 2 ;;
  esac
done
venv=${PALISADE_SCHEMATHESIS:-target/schemathesis}
[ -x "$venv/bin/schemathesis" ] || { python3 -m venv "$venv" && "$venv/bin/pip" install -q 'schemathesis>=4,<5'; }
exec python3 bench/api/ask.py --binary "$binary" --schemathesis "$venv/bin/schemathesis" --examples "$examples"
