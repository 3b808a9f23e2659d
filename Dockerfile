# The gateway as an image: `sightline serve` as user 1000, without compiler, development packages or any key.
# It serves /etc/sightline/gateway.yaml, which is config/container.yaml unless another file is mounted over it.

FROM docker.io/library/node:24-bookworm-slim AS build
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci --ignore-scripts
COPY tsconfig.json tsconfig.build.json ./
COPY .ci/build.mjs .ci/build.mjs
COPY src src
RUN npm run build

FROM docker.io/library/node:24-bookworm-slim AS packages
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci --omit=dev --omit=optional --ignore-scripts
# Directories with the right owner: an empty volume that is mounted over one takes that from here.
RUN mkdir -p etc/certs var/lib/sightline
# malloc's own heap keeps what a rush of connections has left in it; this one gives it back.
RUN apt-get update && apt-get install -y --no-install-recommends libjemalloc2 && cp /usr/lib/*/libjemalloc.so.2 .

FROM docker.io/library/node:24-bookworm-slim
ARG REVISION=unknown
LABEL org.opencontainers.image.title="sightline" \
      org.opencontainers.image.description="A plain proxy and an encrypted tunnel in one program, which shows from captured bytes who can read what in each" \
      org.opencontainers.image.version="0.1.0" \
      org.opencontainers.image.revision="$REVISION" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.base.name="docker.io/library/node:24-bookworm-slim"
ENV NODE_ENV=production SIGHTLINE_CONFIG=/etc/sightline/gateway.yaml
# Memory: pages go back to the system within a second or so, and a burst does not make V8 keep 128 MiB for its young objects.
ENV LD_PRELOAD=/usr/lib/libjemalloc.so.2
ENV MALLOC_CONF=background_thread:true,dirty_decay_ms:1000,muzzy_decay_ms:0
ENV NODE_OPTIONS=--max-semi-space-size=4
COPY --from=packages /app/libjemalloc.so.2 /usr/lib/
WORKDIR /app
COPY --from=packages /app/node_modules node_modules
COPY --from=build /app/dist dist
COPY package.json LICENSE ./
COPY config/container.yaml /etc/sightline/gateway.yaml
COPY --from=packages --chown=1000:1000 /app/etc/certs /etc/sightline/certs
COPY --from=packages --chown=1000:1000 /app/var/lib/sightline /var/lib/sightline
# 3128 HTTP proxy, 1080 SOCKS proxy, 3129 encrypted proxy, 8443 tunnel, 9901 admin.
EXPOSE 3128 1080 3129 8443 9901
USER 1000:1000
# SIGTERM drains; an engine waits for ten seconds before it kills, and the config stays below that.
STOPSIGNAL SIGTERM
# Asks the admin listener of the same config. Exec form: nothing here needs a shell.
HEALTHCHECK --interval=10s --timeout=5s --start-period=10s --retries=3 \
  CMD ["node", "/app/dist/main.js", "health"]
ENTRYPOINT ["node", "/app/dist/main.js"]
CMD ["serve"]
