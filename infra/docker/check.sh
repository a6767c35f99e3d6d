#!/usr/bin/env bash
# Builds the images, starts the compose file on its own project name and ports, makes a tenant, reads through both
# proxies, and takes everything away again. Long (a release build), so not part of `./dev test`.
#
#   infra/docker/check.sh [--no-build]      needs docker with BuildKit, docker compose and psql
#
# POSTGRES_IMAGE, and by --build-arg in BUILD_ARGS the base images, name other images where a mirror is used.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

die() { printf 'check: %s\n' "$*" >&2; exit 1; }
[ "${1:-}" = "" ] || [ "$1" = --no-build ] || die "usage: infra/docker/check.sh [--no-build]"
for tool in docker psql curl python3; do command -v "$tool" >/dev/null || die "$tool is missing"; done
if docker compose version >/dev/null 2>&1; then compose=(docker compose); else compose=(docker-compose); fi

project=palisade-check
# PROMETHEUS=0 leaves Prometheus out.
scratch=$(mktemp -d)
export POSTGRES_PASSWORD GRAFANA_ADMIN_PASSWORD=unused
POSTGRES_PASSWORD=$(head -c 16 /dev/urandom | od -An -tx1 | tr -d ' \n')
export PROXY_1_PORT=${PROXY_1_PORT:-25032} PROXY_2_PORT=${PROXY_2_PORT:-25042} API_PORT=${API_PORT:-25080}
export PALISADE_IMAGE=${PALISADE_IMAGE:-palisade:local} PROXY_ADDRESS=127.0.0.1:$PROXY_1_PORT
run() { "${compose[@]}" -p "$project" "$@"; }
finish() {
  local code=$?
  [ "$code" = 0 ] || run logs --tail 40 >&2 || true
  run --profile setup down -v >/dev/null 2>&1 || true
  rm -rf "$scratch"
  exit "$code"
}
trap finish EXIT

if [ "${1:-}" != --no-build ]; then
  # shellcheck disable=SC2086  # BUILD_ARGS is a list of words
  DOCKER_BUILDKIT=1 docker build ${BUILD_ARGS:-} -t "$PALISADE_IMAGE" .
fi

user=$(docker image inspect -f '{{.Config.User}}' "$PALISADE_IMAGE")
[ "$user" = 65532:65532 ] || die "the image runs as '$user'"
docker image inspect -f 'image: {{.Size}} bytes' "$PALISADE_IMAGE"

run --profile setup run --rm keys master /etc/palisade/master.key
run --profile setup run --rm keys jwt /etc/palisade/jwt.pem
if run --profile setup run --rm keys master /etc/palisade/master.key 2>/dev/null; then die "a key was made anew"; fi

run up -d --no-build
for _ in $(seq 60); do
  states=$(run ps -q control-plane proxy-1 proxy-2 | xargs docker inspect -f '{{.State.Health.Status}}' | sort -u)
  [ "$states" != healthy ] || break
  sleep 2
done
[ "$states" = healthy ] || die "not healthy: $states"

# A token by the private key in the volume, and a tenant by the API.
token=$(run run --rm -T --no-deps --entrypoint /usr/local/bin/palisade control-plane \
  token --key /etc/palisade/jwt.pem --subject check --role admin)
api=http://127.0.0.1:$API_PORT/api/v1
curl -fsS -X POST "$api/tenants" -H "Authorization: Bearer $token" -H 'Content-Type: application/json' \
  -H "Idempotency-Key: check-$$" -d '{"slug":"check"}' > "$scratch/tenant.json"
python3 - "$scratch/tenant.json" > "$scratch/url" <<'PY'
import json, sys
def urls(value):
    if isinstance(value, dict): value = list(value.values())
    if isinstance(value, list): return [u for v in value for u in urls(v)]
    return [value] if isinstance(value, str) and value.startswith("postgres://owner:") else []
found = urls(json.load(open(sys.argv[1])))
if len(found) != 1: sys.exit("the answer has no connection string of the owner")
print(found[0])
PY
url=$(cat "$scratch/url")
psql "$url" -qv ON_ERROR_STOP=1 -c 'CREATE TABLE public.checked (n int)' -c 'INSERT INTO public.checked VALUES (42)'
other=${url/:$PROXY_1_PORT\//:$PROXY_2_PORT/}
[ "$other" != "$url" ] || die "the connection string does not name proxy 1"
[ "$(psql "$other" -qAtc 'SELECT n FROM public.checked')" = 42 ] || die "proxy 2 does not see what proxy 1 wrote"
if psql "$other" -qAtc 'SELECT * FROM palisade_control.tenants' 2> "$scratch/denied"; then die "a tenant read Palisade's tables"; fi
grep -q 'does not exist' "$scratch/denied" || die "the denial has other words: $(cat "$scratch/denied")"

# Prometheus scrapes every plane, and has our rules.
if [ "${PROMETHEUS:-1}" = 1 ]; then
  export PROMETHEUS_PORT=${PROMETHEUS_PORT:-25090}
  run up -d --no-build prometheus
  for _ in $(seq 30); do
    up=$(curl -fsS "http://127.0.0.1:$PROMETHEUS_PORT/api/v1/query?query=sum(up)" 2>/dev/null |
      python3 -c 'import json, sys; r = json.load(sys.stdin)["data"]["result"]; print(r[0]["value"][1] if r else 0)' || true)
    [ "$up" != 3 ] || break
    sleep 2
  done
  [ "$up" = 3 ] || die "Prometheus sees ${up:-none} of 3 planes"
  rules=$(curl -fsS "http://127.0.0.1:$PROMETHEUS_PORT/api/v1/rules" | grep -o '"health":"ok"' | wc -l)
  [ "$rules" -ge 16 ] || die "Prometheus evaluates $rules rules"
  curl -fsSg "http://127.0.0.1:$PROMETHEUS_PORT/api/v1/query?query=palisade_provisioning_total{result=\"succeeded\"}" |
    grep -q '"1"\]' || die "the tenant was not counted"
fi
echo "check: containers are sound"
