#!/usr/bin/env bash
# Where no image registry can be reached: makes images under the names that the compose file asks for, from what this
# Debian machine has installed, and the runtime image from a binary that stands here already.
#
#   infra/docker/stand_in.sh BINARY      needs docker, PostgreSQL 15, prometheus; then: infra/docker/check.sh --no-build
#
# The stand-ins hold the same programs and take the same settings; they are not the published images.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
binary=${1:?usage: infra/docker/stand_in.sh BINARY}
pg=${PG_BINDIR:-/usr/lib/postgresql/15/bin}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# with_libraries ROOT PROGRAM…: copies programs to their own paths, and the libraries that they load
with_libraries() {
  local root=$1 program library; shift
  for program in "$@"; do
    program=$(type -P "$program")
    install -D -m 0755 "$(readlink -f "$program")" "$root$program"
    for library in $(ldd "$program" 2>/dev/null | grep -o '/[^ ]*'); do
      [ -e "$root$library" ] || install -D -m 0755 "$(readlink -f "$library")" "$root$library"
    done
  done
}
users() {
  install -d "$1/etc" "$1/tmp" "$1/run"
  chmod 1777 "$1/tmp"
  printf 'root:x:0:0::/root:/bin/sh\n%s:x:%s:%s::/tmp:/bin/false\n' "$2" "$3" "$3" > "$1/etc/passwd"
  printf 'root:x:0:\n%s:x:%s:\n' "$2" "$3" > "$1/etc/group"
}

runtime() {
  local root=$work/runtime
  users "$root" nonroot 65532
  with_libraries "$root" "$(readlink -f "$binary")"
  rm -rf "${root:?}$(readlink -f "$binary")"
  find "$root" -type d -empty -path "$root/work*" -delete
  install -D -m 0644 /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/ca-certificates.crt"
  tar -C "$root" -c . | docker import - gcr.io/distroless/cc-debian12:nonroot >/dev/null
}
palisade() {
  local context=$work/palisade
  install -d "$context"
  objcopy --strip-debug "$binary" "$context/palisade"
  # The last stage of the Dockerfile as it stands, with the folders that the build stage makes.
  {
    printf 'ARG RUNTIME_IMAGE=gcr.io/distroless/cc-debian12:nonroot\n'
    sed -n '/^FROM ${RUNTIME_IMAGE} AS runtime/,$p' Dockerfile | sed 's|^COPY --from=build /out/ /|COPY out/ /|'
  } > "$context/Dockerfile"
  install -D -m 0755 "$context/palisade" "$context/out/usr/local/bin/palisade"
  rm "$context/palisade"
  install -d -m 0700 -o 65532 -g 65532 "$context/out/var/lib/palisade"
  install -d -m 0750 -o 65532 -g 65532 "$context/out/run/palisade" "$context/out/etc/palisade"
  # A context loses owners, an archive keeps them.
  tar -C "$context/out" -cf "$context/out.tar" . && rm -rf "$context/out"
  sed -i 's|^COPY out/ /|ADD out.tar /|' "$context/Dockerfile"
  DOCKER_BUILDKIT=0 docker build -q -t "${PALISADE_IMAGE:-palisade:local}" "$context" >/dev/null
}
postgres() {
  local root=$work/postgres
  users "$root" postgres 999
  with_libraries "$root" bash sh setpriv mkdir chown chmod cat "$pg/postgres" "$pg/initdb" "$pg/pg_ctl" "$pg/psql" "$pg/pg_isready"
  rm -f "$root/usr/bin/sh" "$root/bin/sh"; install -d "$root/bin"
  ln -sf /usr/bin/bash "$root/bin/sh"
  install -d "$root/usr/share/postgresql" "$root/usr/lib/locale"
  cp -a --parents /usr/lib/postgresql/15/lib /usr/share/postgresql/15 /usr/share/zoneinfo /usr/lib/locale/C.utf8 "$root"
  cp -aL --parents /usr/share/postgresql-common/pg_lib_version /etc/timezone "$root" 2>/dev/null || true
  cat > "$root/entrypoint.sh" <<'SH'
#!/usr/bin/bash
# As the published image: a new cluster from POSTGRES_PASSWORD, POSTGRES_DB and POSTGRES_INITDB_ARGS.
set -eu
export PATH=/usr/lib/postgresql/15/bin:/usr/bin:/bin PGDATA=/var/lib/postgresql/data
as="setpriv --reuid=postgres --regid=postgres --clear-groups"
mkdir -p "$PGDATA" /var/run/postgresql
chown postgres:postgres "$PGDATA" /var/run/postgresql
chmod 700 "$PGDATA"
if ! [ -s "$PGDATA/PG_VERSION" ]; then
  printf '%s' "$POSTGRES_PASSWORD" > /tmp/password; chown postgres /tmp/password
  $as initdb -U postgres --pwfile=/tmp/password ${POSTGRES_INITDB_ARGS:-} -D "$PGDATA" >/dev/null
  printf 'host all all all scram-sha-256\n' >> "$PGDATA/pg_hba.conf"
  $as pg_ctl -D "$PGDATA" -o "-c listen_addresses='' -c unix_socket_directories=/tmp" -w start >/dev/null
  PGPASSWORD=$POSTGRES_PASSWORD $as psql -qh /tmp -U postgres -c "CREATE DATABASE \"$POSTGRES_DB\""
  $as pg_ctl -D "$PGDATA" -m fast -w stop >/dev/null
fi
exec $as "$@" -c listen_addresses='*' -c unix_socket_directories=/tmp -D "$PGDATA"
SH
  chmod 0755 "$root/entrypoint.sh"
  tar -C "$root" -c . | docker import -c 'ENTRYPOINT ["/entrypoint.sh"]' \
    -c 'ENV PATH=/usr/lib/postgresql/15/bin:/usr/bin:/bin' - docker.io/library/postgres:15-bookworm >/dev/null
}
prometheus() {
  local root=$work/prometheus
  users "$root" nobody 65534
  with_libraries "$root" prometheus
  install -d -m 0777 "$root/prometheus"
  tar -C "$root" -c . | docker import -c 'USER 65534:65534' -c 'WORKDIR /prometheus' -c 'ENTRYPOINT ["/usr/bin/prometheus"]' \
    -c 'CMD ["--config.file=/etc/prometheus/prometheus.yml","--storage.tsdb.path=/prometheus"]' - docker.io/prom/prometheus:v3.5.0 >/dev/null
}
runtime; palisade; postgres; prometheus
docker image ls --format '{{.Repository}}:{{.Tag}} {{.Size}}'
