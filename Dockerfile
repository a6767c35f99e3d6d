# Palisade: one binary with the proxy, the control plane and the admin UI.
#
#   docker build -t palisade .
#
# Needs BuildKit (cache mounts). Base images are arguments, so that a mirror or a digest can stand in.
ARG NODE_IMAGE=docker.io/library/node:22-bookworm-slim
ARG RUST_IMAGE=docker.io/library/rust:1-bookworm
ARG RUNTIME_IMAGE=gcr.io/distroless/cc-debian12:nonroot

# ---------------------------------------------------------------- the admin UI
FROM ${NODE_IMAGE} AS ui
WORKDIR /src/admin-ui
COPY admin-ui/package.json admin-ui/package-lock.json ./
RUN --mount=type=cache,target=/root/.npm npm ci --no-audit --no-fund
COPY admin-ui/ ./
COPY docs/api/openapi.json /src/docs/api/openapi.json
RUN npm run build

# ---------------------------------------------------------------- development: the UI with hot reload
FROM ${NODE_IMAGE} AS ui-dev
WORKDIR /src/admin-ui
COPY admin-ui/package.json admin-ui/package-lock.json ./
RUN --mount=type=cache,target=/root/.npm npm ci --no-audit --no-fund && chown -R 1000:1000 /src
COPY --chown=1000:1000 admin-ui/ ./
COPY docs/api/openapi.json /src/docs/api/openapi.json
USER 1000:1000
EXPOSE 5173
HEALTHCHECK --interval=10s --timeout=5s --retries=6 \
  CMD ["node", "-e", "fetch('http://127.0.0.1:5173/').then(r => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
CMD ["npm", "run", "dev", "--", "--host", "0.0.0.0", "--port", "5173"]

# ---------------------------------------------------------------- the binary
FROM ${RUST_IMAGE} AS build
# pg_query needs libclang, pingora's zlib-ng needs cmake and make.
# hadolint ignore=DL3008
RUN apt-get update \
 && apt-get install -y --no-install-recommends cmake g++ libclang-dev make \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
COPY --from=ui /src/admin-ui/dist admin-ui/dist
# The caches keep registry and compiled dependencies between builds; the binary is copied out of them.
# The folders stand there for the runtime image, which has no shell to make them.
RUN --mount=type=cache,target=/usr/local/cargo/registry,sharing=locked \
    --mount=type=cache,target=/src/target,sharing=locked \
    cargo build --locked --release -p palisade \
 && install -D -m 0755 target/release/palisade /out/usr/local/bin/palisade \
 && install -d -m 0700 -o 65532 -g 65532 /out/var/lib/palisade \
 && install -d -m 0750 -o 65532 -g 65532 /out/run/palisade /out/etc/palisade

# ---------------------------------------------------------------- what runs
FROM ${RUNTIME_IMAGE} AS runtime
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Palisade" \
      org.opencontainers.image.description="PostgreSQL proxy and control plane for multi-tenant databases" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
COPY --from=build /out/ /
USER 65532:65532
WORKDIR /var/lib/palisade
# 6432 clients, 6433 console, 8080 API and UI, 9464 metrics and health of the proxy, 9465 metrics of the
# control plane
EXPOSE 6432 6433 8080 9464 9465
STOPSIGNAL SIGTERM
# The control plane's readiness; a proxy names its own: --url http://127.0.0.1:9464/readyz
HEALTHCHECK --interval=10s --timeout=6s --start-period=30s --retries=3 \
  CMD ["/usr/local/bin/palisade", "healthcheck"]
ENTRYPOINT ["/usr/local/bin/palisade"]
CMD ["control-plane"]
