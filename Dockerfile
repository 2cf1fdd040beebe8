# One image a handler, picked by HANDLER: its binary, the libraries that it links, certificate authorities, and nothing
# else; no shell, no package manager, nothing to write to but /cache and /data, and those only where a volume is mounted.
#
#   docker build --platform linux/amd64 --build-arg HANDLER=download --tag xact-pipeline/download .
#
# HANDLER: event-ingester, event-writer, download, upload, result-processor, retry-scheduler, dlq; pipeline (the operator's
# program); attachment-source and onelake-emulator (for infra/compose.yaml); all (every program by its name, in one image).
# PROFILE: dist, or any other of Cargo.toml's profiles where the time to build matters more than size and speed.
#
# Layers that change rarely come first: a change of this workspace's code reuses all downloaded and compiled dependencies.
# No instruction needs BuildKit: `az acr build` does not have it (https://github.com/Azure/acr/issues/721).
ARG HANDLER=event-ingester

# ---------------------------------------------------------------------------------------------------------- dependencies

# Debian 12, as the image of the libraries below: a binary needs the C library that it was linked with, or a newer one.
# The digest is the one to which the tag of this Rust version last pointed.
FROM rust:1.95-bookworm@sha256:6258907abe69656e41cd992e0b705cdcfabcbbe3db374f92ed2d47121282d4a1 AS rust

# The manifests, and an empty program or library in place of each workspace crate. This stage runs after each change, but
# its output is identical until a Cargo.toml changes, so the cache of the stages below remains valid.
FROM rust AS manifests
WORKDIR /source
COPY . .
RUN find . -type f ! -name Cargo.toml ! -name Cargo.lock \
        ! -path '*/src/lib.rs' ! -path '*/src/main.rs' ! -path '*/src/bin/*.rs' ! -path '*/benches/*.rs' -delete \
    && find . -type d -empty -delete \
    && find . -name lib.rs -exec truncate --size 0 {} + \
    && for manifest in tests/*/Cargo.toml; do mkdir -p "${manifest%/*}/src" && touch "${manifest%/*}/src/lib.rs" || exit; done \
    && find . -name '*.rs' ! -name lib.rs -exec sh -c 'for file; do echo "fn main() { }" >"$file"; done' sh {} +

# Dependencies of the runtime, and so of every handler: librdkafka and OpenSSL take most of the time.
FROM rust AS runtime
ARG PROFILE=dist
# Relocation tables are 5 % of the binary; packed, they are negligible. Rust's own linker, the default on x86-64 only, also
# merges functions with identical code.
ENV CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUSTFLAGS="-C link-arg=-Wl,-z,pack-relative-relocs -C link-arg=-Wl,--icf=safe" \
    CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUSTFLAGS="-C link-arg=-Wl,-z,pack-relative-relocs"
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

# The dependency stage of each handler. A name that is not listed is not a valid HANDLER. PROGRAMS, where it is not the
# handler: the packages to build.
FROM runtime AS below-event-ingester
FROM tables AS below-event-writer
FROM runtime AS below-download
FROM runtime AS below-upload
FROM tables AS below-result-processor
FROM runtime AS below-retry-scheduler
FROM runtime AS below-dlq
FROM tables AS below-pipeline
ENV PROGRAMS=xact-pipeline
FROM runtime AS below-attachment-source
FROM runtime AS below-onelake-emulator
FROM tables AS below-all
ENV PROGRAMS="event-ingester event-writer download upload result-processor retry-scheduler dlq xact-pipeline attachment-source onelake-emulator"

# --------------------------------------------------------------------------------------------------------------- binary

# hadolint ignore=DL3006
FROM below-${HANDLER} AS build
ARG HANDLER
ARG PROFILE=dist
WORKDIR /source
SHELL ["/bin/bash", "-euo", "pipefail", "-c"]
RUN read -ra programs <<<"${PROGRAMS:-$HANDLER}"; \
    cargo build --locked --offline --profile "$PROFILE" "${programs[@]/#/--package=}" \
    && cargo clean --locked --offline --profile "$PROFILE" --workspace
COPY handlers handlers
COPY infra infra
COPY shared shared
RUN read -ra programs <<<"${PROGRAMS:-$HANDLER}"; \
    cargo build --locked --offline --profile "$PROFILE" "${programs[@]/#/--package=}"; \
    mkdir /programs; \
    built=target/${PROFILE/#dev/debug}; \
    if [[ $HANDLER == all ]]; then install --target-directory /programs "${programs[@]/#/$built/}"; \
    else install --no-target-directory "$built/${programs[0]}" /programs/handler; fi

# --------------------------------------------------------------------------------------------------------------- system

# The libraries and certificate authorities, from an image that Debian updates: the image of a Rust version is not built
# again once the next version is out. The digest is that of bookworm-20260918-slim
# (https://github.com/docker-library/repo-info, repos/debian/remote); the upgrade adds what was released since. Its layer must
# not come from a cache: image.yml leaves it out of the cache, and deploy.yml rebuilds every week.
FROM debian:bookworm-slim@sha256:3783cc01769c7b2b1b83a5c5ad96c815348e28ed7da68e2e3687004faa906251 AS system
SHELL ["/bin/bash", "-euo", "pipefail", "-c"]
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get upgrade --yes \
    && apt-get install --yes --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/*
COPY --from=build /programs /image
# The rest of the image, with the files that scanners read: the operating system's release and the package of each file.
WORKDIR /image
RUN ldd ./* | grep --only-matching '/lib[^ ]*' | sort --unique | xargs cp --dereference --parents --target-directory .; \
    cp --dereference --parents /etc/os-release /etc/ssl/certs/ca-certificates.crt .; \
    echo 'nonroot:x:65532:65532:nonroot:/:/sbin/nologin' >etc/passwd; \
    echo 'nonroot:x:65532:' >etc/group; \
    echo 'hosts: files dns' >etc/nsswitch.conf; \
    mkdir -p var/lib/dpkg/status.d /owned/cache /owned/data; \
    for package in libc6 libgcc-s1 ca-certificates; do dpkg-query --status "$package" >"var/lib/dpkg/status.d/$package"; done; \
    [[ -e handler ]] || ln --symbolic xact-pipeline handler

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
COPY --from=system /image /
# A volume that is mounted there is the handler's from the beginning.
COPY --from=system --chown=65532:65532 /owned /
ENV SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt
USER 65532:65532
# Drains and commits; a second one stops at once.
STOPSIGNAL SIGTERM
ENTRYPOINT ["/handler"]
