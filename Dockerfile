# One image a handler, picked by HANDLER: its binary, the libraries that it links, certificate authorities, and nothing
# else; no shell, no package manager, nothing to write to but /cache and /data, and those only where a volume is mounted.
#
#   docker build --build-arg HANDLER=download --tag xact-pipeline/download .
#
# HANDLER: event-ingester, event-writer, download, upload, result-processor, retry-scheduler, dlq; pipeline (the operator's
# program); attachment-source and onelake-emulator (for infra/compose.yaml).
# PROFILE: dist, or any other of Cargo.toml's profiles where the time to build matters more than size and speed.
#
# Layers that change rarely come first: a change of this workspace's code reuses all downloaded and compiled dependencies.
ARG HANDLER=event-ingester

# ---------------------------------------------------------------------------------------------------------- dependencies

# The manifests, and an empty program or library in place of each workspace crate. This stage runs after each change, but
# its output is identical until a Cargo.toml changes, so the cache of the stages below remains valid.
FROM rust:1.95-bookworm AS manifests
WORKDIR /source
COPY . .
RUN find . -type f ! -name Cargo.toml ! -name Cargo.lock \
        ! -path '*/src/lib.rs' ! -path '*/src/main.rs' ! -path '*/src/bin/*.rs' ! -path '*/benches/*.rs' -delete \
    && find . -type d -empty -delete \
    && find . -name lib.rs -exec truncate --size 0 {} + \
    && for manifest in tests/*/Cargo.toml; do mkdir -p "${manifest%/*}/src" && touch "${manifest%/*}/src/lib.rs" || exit; done \
    && find . -name '*.rs' ! -name lib.rs -exec sh -c 'for file; do echo "fn main() { }" >"$file"; done' sh {} +

# Dependencies of the runtime, and so of every handler: librdkafka and OpenSSL take most of the time.
FROM rust:1.95-bookworm AS runtime
ARG PROFILE=dist
# Relocation tables are 5 % of the binary; packed, they are negligible.
ENV RUSTFLAGS="-C link-arg=-Wl,-z,pack-relative-relocs"
WORKDIR /source
COPY --from=manifests /source .
RUN cargo fetch --locked --target "$(rustc --print host-tuple)"
RUN cargo build --locked --offline --profile "$PROFILE" --package dlq \
    && cargo clean --locked --offline --profile "$PROFILE" --workspace

# Dependencies of the handlers that write Delta tables.
FROM runtime AS tables
ARG PROFILE=dist
RUN cargo build --locked --offline --profile "$PROFILE" --package event-writer \
    && cargo clean --locked --offline --profile "$PROFILE" --workspace

# The dependency stage of each handler. A name that is not listed is not a valid HANDLER.
FROM runtime AS below-event-ingester
FROM tables AS below-event-writer
FROM runtime AS below-download
FROM runtime AS below-upload
FROM tables AS below-result-processor
FROM runtime AS below-retry-scheduler
FROM runtime AS below-dlq
FROM tables AS below-pipeline
FROM runtime AS below-attachment-source
FROM runtime AS below-onelake-emulator

# --------------------------------------------------------------------------------------------------------------- binary

# hadolint ignore=DL3006
FROM below-${HANDLER} AS build
ARG HANDLER
ARG PROFILE=dist
WORKDIR /source
SHELL ["/bin/bash", "-euo", "pipefail", "-c"]
RUN cargo build --locked --offline --profile "$PROFILE" --package "${HANDLER/#pipeline/xact-pipeline}" \
    && cargo clean --locked --offline --profile "$PROFILE" --workspace
COPY handlers handlers
COPY infra infra
COPY shared shared
# Rust's own linker, the default on x86-64 only, merges functions with identical code.
RUN package=${HANDLER/#pipeline/xact-pipeline}; \
    link=(); if [[ $(uname -m) == x86_64 ]]; then link=(-C "link-arg=-Wl,--icf=safe"); fi; \
    cargo rustc --locked --offline --profile "$PROFILE" --package "$package" --bin "$package" -- "${link[@]}"; \
    install -D "target/${PROFILE/#dev/debug}/$package" /image/handler

# The rest of the image, with the files that scanners read: the operating system's release and the package of each file.
WORKDIR /image
RUN ldd handler | grep --only-matching '/lib[^ ]*' | xargs cp --dereference --parents --target-directory .; \
    cp --dereference --parents /etc/os-release /etc/ssl/certs/ca-certificates.crt .; \
    echo 'nonroot:x:65532:65532:nonroot:/:/sbin/nologin' >etc/passwd; \
    echo 'nonroot:x:65532:' >etc/group; \
    echo 'hosts: files dns' >etc/nsswitch.conf; \
    mkdir -p var/lib/dpkg/status.d /owned/cache /owned/data; \
    for package in libc6 libgcc-s1 ca-certificates; do dpkg-query --status "$package" >"var/lib/dpkg/status.d/$package"; done

# ---------------------------------------------------------------------------------------------------------------- image

FROM scratch
ARG HANDLER
ARG VERSION=unknown
ARG REVISION=unknown
LABEL org.opencontainers.image.title="xact-pipeline/${HANDLER}" \
      org.opencontainers.image.description="Insurance attachments from assignment events into OneLake: ${HANDLER}" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.licenses="MIT"
COPY --from=build /image /
# A volume that is mounted there is the handler's from the beginning.
COPY --from=build --chown=65532:65532 /owned /
ENV SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt
USER 65532:65532
# Drains and commits; a second one stops at once.
STOPSIGNAL SIGTERM
ENTRYPOINT ["/handler"]
