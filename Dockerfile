# A static binary in an empty image. `.ci/image` checks it without an engine.
#
#   docker build -t agentguard .
#   docker run --rm -p 4317:4317 -p 4318:4318 -p 8888:8888 agentguard
ARG BUILDER=docker.io/library/rust:1.95-slim-bookworm
FROM ${BUILDER} AS build
WORKDIR /src
COPY . .
# the C library is linked in, so that nothing else has to be in the image
ENV RUSTFLAGS="-C target-feature=+crt-static"
RUN target="$(rustc --print host-tuple)" \
    && cargo build --release --locked --target "$target" \
    && cp "target/$target/release/agentguard" /agentguard

FROM scratch
LABEL org.opencontainers.image.title="agentguard" \
      org.opencontainers.image.description="A streaming OpenTelemetry sidecar for systems made of many AI agents" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /agentguard /agentguard
COPY config/gateway.yaml /etc/agentguard/config.yaml
USER 65532:65532
EXPOSE 4317 4318 8888 13133
HEALTHCHECK --interval=10s --timeout=5s --start-period=5s CMD ["/agentguard", "health"]
ENTRYPOINT ["/agentguard"]
CMD ["run", "--config", "/etc/agentguard/config.yaml"]
