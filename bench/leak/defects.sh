#!/usr/bin/env bash
# Does the leak test find anything? bench/leak/defects.sh [--seconds N] [--seed N] [--only N…] [--check] [--help]
#
# Builds Palisade with twenty defects (a rule removed, a check skipped, a pool shared, a filter removed …), of which one is
# chosen at a start, in a work tree of its own; attacks each, and lists which attacker found it and when. Takes about half
# an hour; ends with 1 where a defect was not found. Writes bench/results/defects-DATE.json and .md.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
exec python3 bench/leak/defects.py "$@"
