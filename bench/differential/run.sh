#!/usr/bin/env bash
# What the two SQL readers make of real texts: bench/differential/run.sh [PART…]
#
# Collects texts from a throw-away PostgreSQL that logs every statement, reads and judges each of them once, prints
# coverage and disagreements by kind of statement, and writes bench/results/differential-DATE.md and .json. The parts, all
# of them where none is named: regress (PostgreSQL's own regression suite, from Debian's source package), dump (pg_dump of
# a tenant and of the suite's database, and what a restore sends; psql's \d family), clients (the drivers and ORMs of
# bench/clients). The texts stay in data/differential; refused.jsonl there has each refused one with its reason.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
python3 bench/differential/capture.py data/differential "$@"
cargo run --locked --quiet -p palisade-bench --bin differential -- data/differential/*.texts.jsonl \
  --refused data/differential/refused.jsonl --date "$(date +%F)"
