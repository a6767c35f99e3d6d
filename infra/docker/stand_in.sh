#!/usr/bin/env bash
# Where no image registry can be reached: makes images under the names that Dockerfile and compose file ask for, from
# what this Debian machine has installed.
#
#   infra/docker/stand_in.sh --bases     what the Dockerfile builds on, and PostgreSQL and Prometheus; needs docker,
#                                        debootstrap, PostgreSQL 15, prometheus, node, cargo.
#                                        Then: BUILD_ARGS="--network host" infra/docker/check.sh
#   infra/docker/stand_in.sh BINARY      instead of a build, Palisade's image from a binary that stands here already.
#                                        Then: infra/docker/check.sh --no-build
#
# The stand-ins hold the same programs and take the same settings; they are not the published images.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
binary=${1:?usage: infra/docker/stand_in.sh --bases | BINARY}
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

# As distroless/cc: the C library, its runtime and certificates, no shell.
runtime() {
  local root=$work/runtime package packages=$work/packages
  users "$root" nonroot 65532
  install -d "$packages"
  (cd "$packages" && apt-get download -qq libc6 libgcc-s1 libstdc++6 libssl3 netbase tzdata >/dev/null 2>&1)
  for package in "$packages"/*.deb; do dpkg-deb -x "$package" "$root"; done
  rm -rf "$root/usr/share/doc" "$root/usr/share/lintian"
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
# What the first stages of the Dockerfile start from: Debian with a C compiler and Rust, Debian with Node. The machine's
# own authorities go in, so that a registry behind a proxy of the house is trusted.
builders() {
  local root=$work/debian toolchain npm
  local authorities=/etc/ssl/certs/ca-certificates.crt
  debootstrap --variant=minbase --include=ca-certificates,gcc,libc6-dev bookworm "$root" >/dev/null
  cp "$authorities" "$root$authorities"
  cp /etc/apt/sources.list.d/debian.sources "$root/etc/apt/sources.list.d/" 2>/dev/null && rm -f "$root/etc/apt/sources.list"
  toolchain=$(rustc --print sysroot)
  install -d "$root/usr/local/rust"
  cp -a "$toolchain/bin" "$toolchain/lib" "$root/usr/local/rust/"
  tar -C "$root" -c . | docker import -c 'ENV PATH=/usr/local/rust/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' \
    -c 'ENV CARGO_HOME=/usr/local/cargo' -c "ENV CARGO_HTTP_CAINFO=$authorities" - docker.io/library/rust:1-bookworm >/dev/null
  rm -rf "$root/usr/local/rust"
  npm=$(readlink -f "$(type -P npm)"); npm=${npm%/bin/*}
  with_libraries "$root" node
  install -d "$root$npm"
  cp -a "$npm/." "$root$npm"
  ln -sf "$npm/bin/npm-cli.js" "$root/usr/local/bin/npm"
  ln -sf "$npm/bin/npx-cli.js" "$root/usr/local/bin/npx"
  tar -C "$root" -c . | docker import -c "ENV NODE_EXTRA_CA_CERTS=$authorities" - docker.io/library/node:22-bookworm-slim >/dev/null
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
runtime; postgres; prometheus
if [ "$binary" = --bases ]; then builders; else palisade; fi
docker image ls --format '{{.Repository}}:{{.Tag}} {{.Size}}'
