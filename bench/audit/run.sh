#!/usr/bin/env bash
# What the audit trail costs and how fast it is searched: bench/audit/run.sh [--events N] [--rounds N] [--help]
#
# Starts an installation of the release build and three proxies in processes of their own, compares their CPU time for a
# transaction with counts, without them and with every statement on record, then fills the trail with EVENTS events (10,000,000: about 15 GB and half an hour)
# and asks filtered pages of it over the API. Writes bench/results/audit-DATE.json and .md.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
exec python3 bench/audit/measure.py "$@"
