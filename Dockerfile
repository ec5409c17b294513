# One image with the three programs: tonghop (the embedded service and the commands), tonghop-api and tonghop-aggregator.

FROM rust:1.95-slim-bookworm AS build
WORKDIR /src
COPY . .
# The caches outlive this build but are not part of the image, so the programs are copied out of them.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --release --locked --bins \
        --package tonghop --package tonghop-api --package tonghop-aggregator \
    && mkdir --parents /out/bin /out/data \
    && cp target/release/tonghop target/release/tonghop-api target/release/tonghop-aggregator /out/bin/

FROM debian:bookworm-slim
COPY --from=build /out/bin/ /usr/local/bin/
# `tonghop serve` creates its database in the working folder: mount a volume here to keep it.
COPY --from=build --chown=65532:65532 /out/data/ /var/lib/tonghop/
WORKDIR /var/lib/tonghop
USER 65532:65532
EXPOSE 8080
# Listens on the container's loopback address unless TONGHOP_LISTEN is set.
CMD ["tonghop", "serve"]
