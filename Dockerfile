# Base: Node itself is new enough, so the pinned per-platform Node (an optional dependency) stays out.
FROM node:24-bookworm-slim

ENV NODE_ENV=production USHER_HOST=0.0.0.0
WORKDIR /app

COPY package.json package-lock.json ./
RUN npm ci --omit=dev --omit=optional --ignore-scripts && npm cache clean --force

COPY LICENSE ./
COPY bin bin
COPY config config
COPY migrations migrations
COPY views views
COPY src src

# The only folders written to; everything else may be mounted read-only. A named volume takes over this owner.
RUN mkdir keys data && chown 10001:10001 keys data
USER 10001:10001
VOLUME ["/app/keys", "/app/data"]

EXPOSE 3000
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.USHER_PORT || 3000}/healthz`, { signal: AbortSignal.timeout(2000) }).then((reply) => process.exit(reply.ok ? 0 : 1), () => process.exit(1))"]

# Node is process 1 and handles SIGTERM itself. Left alone, its young generation takes twice as much memory for nothing.
ENTRYPOINT ["node", "--max-semi-space-size=32", "bin/usher.js"]
CMD ["serve"]
