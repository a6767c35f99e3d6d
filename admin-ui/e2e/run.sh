#!/bin/sh
# Runs the end-to-end tests against an installation: e2e/run.sh ENVFILE [command …]
# ENVFILE is the dev.env that `palisade up` writes; its folder holds the key that tokens are signed with.
# Serves this UI's build on 127.0.0.1:${E2E_PORT:-4173}, with the installation's API behind it.
set -eu
[ $# -ge 1 ] || { echo "usage: e2e/run.sh ENVFILE [command …]" >&2; exit 2; }
envfile=$(realpath "$1"); shift
cd "$(dirname "$0")/.."
. "$envfile"
port=${E2E_PORT:-4173}
export PALISADE_API_URL PALISADE_DATABASE_URL
export BASE_URL="http://127.0.0.1:$port" JWT_KEY="$(dirname "$envfile")/keys/jwt.pem"
[ -d node_modules ] || npm ci --no-audit --no-fund
npm run --silent build
node_modules/.bin/vite preview --host 127.0.0.1 --port "$port" --strictPort &
server=$!
trap 'kill "$server" 2>/dev/null || true' EXIT
i=0
until node -e "fetch('$BASE_URL').then(() => process.exit(0), () => process.exit(1))"; do
  i=$((i + 1)); [ "$i" -lt 50 ] || { echo "the UI does not answer" >&2; exit 1; }
  sleep 0.2
done
if [ $# -gt 0 ]; then "$@"; else node --test --test-concurrency=1 e2e/*.test.mjs; fi
