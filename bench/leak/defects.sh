#!/usr/bin/env bash
# Does the leak test find anything? bench/leak/defects.sh [--seconds N] [--seed N] [--only N] [--help]
#
# Builds Palisade with one defect after another (a check left out, a pool shared, a filter removed) in a work tree of its
# own, attacks each build, and lists which attacker found it and when. Takes about twenty minutes; ends with 1 where a
# defect was not found. Writes bench/results/defects-DATE.json and .md.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
exec python3 bench/leak/defects.py "$@"
