#!/usr/bin/env bash
# The corpora against a running installation: bench/leak/run.sh [--walls both|each] DEV_ENV [extra arguments of leakrun.py]
#
# Makes two fresh tenants through the API, puts the lab's objects into them (bench/corpus/leaklab.sql), then plays every
# case as tenant A through the proxy and looks at what comes back on the wire. With `--walls each` the attacks are played
# twice more: past the proxy, as A's own server role (the database alone), and through the proxy with the database opened
# to A (the proxy alone). Ends with a table of how each class held. Open cases stand in bench/corpus/known*.txt.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
walls=both
if [ "${1:-}" = --walls ]; then walls=$2; shift 2; fi
[ $# -ge 1 ] || { echo "usage: bench/leak/run.sh [--walls both|each] DEV_ENV" >&2; exit 2; }
. "$1"; shift
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
PALISADE=${PALISADE_BIN:-target/debug/palisade}
stamp=$(date +%s)
# Slugs are written into identifiers by the attacks: one word each.
a=leaka$stamp b=leakb$stamp
"$PALISADE" tenant create "$a" --json >"$work/a.json"
"$PALISADE" tenant create "$b" --json >"$work/b.json"
export PALISADE_DATABASE_URL
python3 bench/leak/prepare.py "$work" bench/corpus/leaklab.sql
psql "$PALISADE_DATABASE_URL" -q -v ON_ERROR_STOP=1 -f "$work/lab.sql" >/dev/null
sleep 1
python3 bench/leak/corpora.py "$work" "$walls" "$@"
