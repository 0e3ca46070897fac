# The program with its page, in three stages. Builds with BuildKit and without it, and pulls nothing but these
# bases; the build of the program installs libclang, where its base has none.
#
#   docker build -t evenkeel:local .
ARG NODE_IMAGE=node:20-bookworm-slim
# The version of rust-toolchain.toml, which is not copied: rustup would fetch clippy and rustfmt, which nobody needs here.
ARG RUST_IMAGE=rust:1.95.0-slim-bookworm
ARG RUNTIME_IMAGE=debian:bookworm-slim

# The page.
FROM ${NODE_IMAGE} AS web
WORKDIR /web
COPY web/package.json web/package-lock.json ./
COPY web/openapi/package.json openapi/
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY web/ ./
RUN npm run build

# The program. Its dependencies are built first, from the manifests alone: they change seldom.
FROM ${RUST_IMAGE} AS build
WORKDIR /src
ENV CARGO_PROFILE_RELEASE_DEBUG=false \
    CARGO_PROFILE_RELEASE_STRIP=symbols
# The bindings of PostgreSQL's grammar are made with it.
RUN ls /usr/lib/llvm-*/lib/libclang*.so* > /dev/null 2>&1 \
    || { apt-get update -qq && apt-get install -qq -y --no-install-recommends libclang-dev && rm -rf /var/lib/apt/lists/*; }
COPY Cargo.toml Cargo.lock ./
COPY actors/Cargo.toml actors/
COPY actors/forgetful/Cargo.toml actors/forgetful/
COPY core/Cargo.toml core/
# Tests and benchmarks are named in the manifests and not here.
RUN sed -i -e '/^\[\[/,/^$/d' Cargo.toml actors/Cargo.toml core/Cargo.toml \
    && mkdir -p src actors/src actors/forgetful/src core/src \
    && echo 'fn main() {}' > src/main.rs \
    && touch src/lib.rs actors/src/lib.rs actors/forgetful/src/lib.rs core/src/lib.rs \
    && cargo build --release --locked \
    && rm -r src actors core
COPY . .
COPY --from=web /web/dist web/dist
# Newer than what the empty crates above were built from.
RUN sed -i -e '/^\[\[/,/^$/d' Cargo.toml actors/Cargo.toml core/Cargo.toml \
    && find src actors core build.rs -name '*.rs' -exec touch {} + \
    && cargo build --release --locked --bin evenkeel \
    && mkdir -p /out/data \
    && cp target/release/evenkeel /out/

FROM ${RUNTIME_IMAGE}
COPY --from=build /out/evenkeel /usr/local/bin/evenkeel
# Whom rediss:// and https:// trust; another authority is named by --redis-ca or --server-ca.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
# A fresh volume takes over this folder with its owner.
COPY --from=build --chown=65532:65532 /out/data /data
USER 65532:65532
VOLUME /data
EXPOSE 7070 7071
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=5s --timeout=4s --start-period=20s CMD ["evenkeel", "healthcheck"]
ENTRYPOINT ["evenkeel"]
CMD ["--help"]
