# Sourced by ./dev: `./dev test`. Runs every suite, goes on after a failure, ends in a summary.
#
#   ./dev test           everything, long suites in their short form
#   ./dev test --quick   Rust only
#   ./dev test --ci      everything, and the lints

TEST_NAMES=()
TEST_RESULTS=()
TEST_DETAILS=()
TEST_LOGS=()

# Lines of a failed suite's log that the summary repeats: of its end, and of what says why.
FAILED_LINES=6

# suite NAME COMMAND…: runs it, shows its output, keeps its result
suite() {
  local name=$1; shift
  say "── $name"
  local log started=$SECONDS code=0
  log=$DATA/log/test-${name//[^a-z0-9]/-}.log
  set +e
  "$@" > >(tee "$log") 2>&1
  code=$?
  set -e
  TEST_NAMES+=("$name")
  TEST_RESULTS+=("$code")
  TEST_DETAILS+=("$((SECONDS - started)) s")
  TEST_LOGS+=("$log")
  return 0
}

# The end of a failed suite's log, and last, next to the table, the lines that say why.
why() {
  printf '\n  %s: the whole log is in %s\n' "$1" "$2"
  { tail -n "$FAILED_LINES" "$2"; echo "…"; grep -aE 'WRONG|LEAK|panicked at|^error|FAILED|not ok' "$2" | tail -n "$FAILED_LINES" || true; } | cut -c1-400 | sed 's/^/    /'
}

summary() {
  local i passed=0 failed=0
  say "── summary"
  for i in "${!TEST_NAMES[@]}"; do
    [ "${TEST_RESULTS[$i]}" = 0 ] || why "${TEST_NAMES[$i]}" "${TEST_LOGS[$i]}"
  done
  for i in "${!TEST_NAMES[@]}"; do
    if [ "${TEST_RESULTS[$i]}" = 0 ]; then passed=$((passed + 1)); else failed=$((failed + 1)); fi
    printf '  %-6s %-44s %s\n' "$([ "${TEST_RESULTS[$i]}" = 0 ] && echo ok || echo FAILED)" "${TEST_NAMES[$i]}" "${TEST_DETAILS[$i]}"
  done
  printf '\nsuites: %d passed, %d failed\n' "$passed" "$failed"
  [ "$failed" = 0 ]
}

# The installation that a suite runs against: its own data folder and ports (the usual ones plus
# PALISADE_TEST_PORT_OFFSET), fresh each time.
with_installation() {
  local data=$DATA/test-installation main_data=$DATA
  local offset=${PALISADE_TEST_PORT_OFFSET:-10000}
  export PALISADE__PROXY__LISTEN=127.0.0.1:$((6432 + offset)) PALISADE__CONTROL_PLANE__LISTEN=127.0.0.1:$((8080 + offset))
  export PALISADE__PROXY__ADMIN_LISTEN=127.0.0.1:$((6433 + offset)) PALISADE__PROXY__METRICS_LISTEN=127.0.0.1:$((9464 + offset))
  export PALISADE__CONTROL_PLANE__METRICS_LISTEN=127.0.0.1:$((9465 + offset))
  (
    DATA=$data LOG=$data/log/palisade.log
    if running; then down; fi
    remove_data "$data"
    start_detached "$(binary)" up --data-dir "$data"
    trap 'DATA=$data; down' EXIT
    DATA=$main_data
    "$@" "$data/dev.env"
  )
}

scripts_are_sound() { bash -n dev infra/test.sh .ci/run && ./dev help >/dev/null && python3 -m py_compile policies/tools/*.py && bash bench/leak/defects.sh --check; }

# pgbench, PostgreSQL's own load generator, as a tenant's owner through the proxy: no transaction may fail.
pgbench_runs() {
  local mode bin
  bin=${PG_BINDIR:-$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -n 1)}
  PATH=$PATH:${bin:-/nonexistent}
  . "$1"
  pgbench -i -q "$PALISADE_URL_ACME_OWNER" || return 1
  for mode in simple extended prepared; do
    pgbench -n -M "$mode" -c 4 -j 2 -T 3 "$PALISADE_URL_ACME_OWNER" | tee "$DATA/log/pgbench-$mode.log" || return 1
    grep -q 'failed transactions: 0' "$DATA/log/pgbench-$mode.log" || return 1
  done
  psql "$PALISADE_URL_ACME_OWNER" -v ON_ERROR_STOP=1 -c '\d users' -c '\dt' -c '\df' -c '\dn' || return 1
}

# Attacks and benign statements, played as a hostile and as an honest tenant. Each wall alone: bench/corpus/README.md.
corpora() { PALISADE_BIN=$(binary) bash bench/leak/run.sh --walls both "$1"; }

# Attackers of every kind for a short time, and the same against a plain PostgreSQL, where they must find something.
leak_test() {
  local report=$DATA/leak-report
  ( . "$1"
    "$(binary)" leak-test --duration 15s --seed 1 --report "$report" --key-file "$DATA/leak-test.key" --compare "$PALISADE_DATABASE_URL" || exit 1
    "$(binary)" report verify "$report/report.json" | tee "$DATA/log/leak-verify.log" || exit 1
    ! grep -q 'plain PostgreSQL: .* 0 leaks' "$DATA/log/leak-verify.log" )
}

# Its installation shares the schema of the corpora's extensions.
with_shared_schema() { ( export PALISADE__PROXY__SHARED_SCHEMAS='["ext"]'; with_installation "$@" ); }

# One application's work by four clients, through the proxy and direct: the outcomes must be equal.
client_matrix() { bash bench/clients/run.sh "$1"; }

# A crowd of tenants' clients, with servers killed and tenants suspended: nothing of one may reach another. The long form:
# bench/chaos/run.sh DEV_ENV --duration 3600.
crowd() { bash bench/chaos/run.sh "$1" --duration 15 --seed 1 --tenants 4 --clients 80; }

# What alerts, dashboards and docs name, against what both planes serve.
metrics_are_named() {
  local proxy control
  . "$1"
  proxy=$(mktemp) control=$(mktemp)
  curl -fsS "http://$PALISADE__PROXY__METRICS_LISTEN/metrics" > "$proxy" || return 1
  curl -fsS "http://$PALISADE__CONTROL_PLANE__METRICS_LISTEN/metrics" > "$control" || return 1
  python3 infra/monitoring/names.py "$proxy" "$control" || return 1
  rm -f "$proxy" "$control"
}

# The UI's logic; ./dev has built it and so installed what it needs.
ui_tests() { (cd admin-ui && { [ -d node_modules ] || npm ci --no-audit --no-fund; } && npm test); }

# The UI in a real browser against a real installation, with axe: admin-ui/e2e.
ui_e2e() {
  local browser; browser=$(command -v chromium || command -v chromium-browser || command -v google-chrome) || { echo "no Chromium was found" >&2; return 1; }
  CHROMIUM=$browser PATH=$PATH:${PG_BINDIR:-/usr/lib/postgresql/15/bin} sh admin-ui/e2e/run.sh "$1"
}

run_tests() {
  local quick=0 ci=0
  while [ $# -gt 0 ]; do
    case "$1" in
      --quick) quick=1 ;;
      --ci) ci=1 ;;
      *) die "./dev test knows --quick and --ci" ;;
    esac
    shift
  done
  mkdir -p "$DATA/log"
  build
  [ "$quick" = 1 ] || [ "$(uname -s)" = Darwin ] || apt_install python3 python3-venv postgresql-contrib chromium openssl
  [ "$ci" = 0 ] || { suite "formatting" cargo fmt --all --check; suite "lints" cargo clippy --locked --workspace --all-targets -- -D warnings; }
  suite "rust tests" cargo test --locked --workspace
  if [ "$quick" = 0 ]; then
    suite "scripts" scripts_are_sound
    suite "names of metrics" with_installation metrics_are_named
    suite "psql and pgbench" with_installation pgbench_runs
    suite "attack and benign corpora" with_shared_schema corpora
    suite "leak test" with_installation leak_test
    suite "client matrix" with_installation client_matrix
    suite "crowd under faults" with_installation crowd
    suite "provisioning under faults" python3 bench/provisioning/faults.py --faults 40 --binary "$(binary)"
    suite "UI unit tests" ui_tests
    suite "UI end to end" with_installation ui_e2e
  fi
  summary
}
