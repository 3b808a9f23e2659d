# The gateway as an image: `sightline serve` as user 1000, without compiler, development packages or any key.
# Mount a config at /etc/sightline/gateway.yaml with what it names; config/container.yaml is an example.

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

FROM docker.io/library/node:24-bookworm-slim
LABEL org.opencontainers.image.title="sightline" \
      org.opencontainers.image.description="A plain proxy and an encrypted tunnel in one program, which shows from captured bytes who can read what in each" \
      org.opencontainers.image.version="0.1.0" \
      org.opencontainers.image.licenses="Apache-2.0"
ENV NODE_ENV=production
WORKDIR /app
COPY --from=packages /app/node_modules node_modules
COPY --from=build /app/dist dist
COPY package.json LICENSE ./
# 3128 HTTP proxy, 1080 SOCKS proxy, 3129 encrypted proxy, 8443 tunnel, 9901 admin: config/container.yaml listens on them.
EXPOSE 3128 1080 3129 8443 9901
USER 1000:1000
# SIGTERM drains; `docker stop` waits for ten seconds, and so does a gateway's drainTimeoutMs.
STOPSIGNAL SIGTERM
# Asks the admin listener of the same config. Exec form: nothing here needs a shell.
HEALTHCHECK --interval=10s --timeout=5s --start-period=10s --retries=3 \
  CMD ["node", "/app/dist/main.js", "health", "--config", "/etc/sightline/gateway.yaml"]
ENTRYPOINT ["node", "/app/dist/main.js"]
CMD ["serve", "--config", "/etc/sightline/gateway.yaml"]
