# Sourced by ./dev: `./dev test`. Runs every suite, goes on after a failure, ends in a summary.
#
#   ./dev test           everything, long suites in their short form
#   ./dev test --quick   Rust only
#   ./dev test --ci      everything, and the lints

TEST_NAMES=()
TEST_RESULTS=()
TEST_DETAILS=()

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
  return 0
}

summary() {
  local i passed=0 failed=0
  say "── summary"
  for i in "${!TEST_NAMES[@]}"; do
    if [ "${TEST_RESULTS[$i]}" = 0 ]; then passed=$((passed + 1)); else failed=$((failed + 1)); fi
    printf '  %-6s %-44s %s\n' "$([ "${TEST_RESULTS[$i]}" = 0 ] && echo ok || echo FAILED)" "${TEST_NAMES[$i]}" "${TEST_DETAILS[$i]}"
  done
  printf '\nsuites: %d passed, %d failed\n' "$passed" "$failed"
  [ "$failed" = 0 ]
}

need_test_tools() {
  say "Installing what the tests need"
  [ "$(uname -s)" = Darwin ] || apt_install python3 python3-venv postgresql-contrib
  need_node
}

# The installation that the acceptance suites run against: its own data folder and ports, fresh each time.
with_installation() {
  local data=$DATA/test-installation
  export PALISADE__PROXY__LISTEN=127.0.0.1:16432 PALISADE__PROXY__METRICS_LISTEN=127.0.0.1:19464
  export PALISADE__PROXY__CONSOLE_LISTEN=127.0.0.1:16433 PALISADE__CONTROL_PLANE__LISTEN=127.0.0.1:18080
  (
    DATA=$data LOG=$data/log/palisade.log
    if running; then down; fi
    remove_data "$data"
    start_detached "$(binary)" up --data-dir "$data"
    trap 'down' EXIT
    "$@" "$data/dev.env"
  )
}

acceptance() { bash bench/acceptance.sh "$@"; }

ui_tests() { (cd admin-ui && npm ci --no-audit --no-fund && npm test); }

scripts_are_sound() { bash -n dev infra/test.sh .ci/run bench/*.sh && ./dev help >/dev/null; }

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
  [ "$quick" = 1 ] || need_test_tools
  [ "$ci" = 0 ] || { suite "formatting" cargo fmt --all --check; suite "lints" cargo clippy --locked --workspace --all-targets -- -D warnings; }
  suite "rust tests" cargo test --locked --workspace
  if [ "$quick" = 0 ]; then
    suite "scripts" scripts_are_sound
    suite "admin ui" ui_tests
    suite "acceptance" with_installation acceptance
  fi
  summary
}
