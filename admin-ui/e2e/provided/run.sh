#!/bin/sh
# Runs the tests that need a provider and a second person: e2e/provided/run.sh PALISADE
# Starts that binary's own installation on 127.0.0.1, ports ${E2E_BASE:-2711}1 to 9, and stops it at the end.
set -eu
[ $# -eq 1 ] || { echo "usage: e2e/provided/run.sh PALISADE" >&2; exit 2; }
palisade=$(realpath "$1")
cd "$(dirname "$0")/../.."
base=${E2E_BASE:-2711}
data=$(mktemp -d)
chmod 755 "$data"
export PALISADE__PROXY__LISTEN="127.0.0.1:${base}1" PALISADE__CONTROL_PLANE__LISTEN="127.0.0.1:${base}2"
export PALISADE__PROXY__METRICS_LISTEN="127.0.0.1:${base}3" PALISADE__PROXY__ADMIN_LISTEN="127.0.0.1:${base}4"
export PALISADE__CONTROL_PLANE__OIDC__ISSUER="http://127.0.0.1:${base}5"
export PALISADE__CONTROL_PLANE__OIDC__CLIENT_ID=palisade-ui
export PALISADE__CONTROL_PLANE__OIDC__REDIRECT_URL="http://127.0.0.1:${base}9/auth/callback"
export PALISADE__CONTROL_PLANE__SECOND_PERSON='["POST /policy"]'
"$palisade" up --data-dir "$data/installation" > "$data/log" 2>&1 &
server=$!
trap 'kill "$server" 2>/dev/null || true; wait "$server" 2>/dev/null || true; rm -rf "$data"' EXIT
i=0
until grep -q "Ctrl-C stops" "$data/log"; do
  i=$((i + 1)); [ "$i" -lt 300 ] && kill -0 "$server" || { cat "$data/log" >&2; exit 1; }
  sleep 0.2
done
E2E_PORT="${base}9" E2E_PROVIDER_PORT="${base}5" \
  e2e/run.sh "$data/installation/dev.env" node --test e2e/provided/
