# The coordinator: `docker build -t quiver-coordinator .`, then run it with `serve` (default), `api` or `worker`.
#
# Debian, because Temporal's SDK brings its native part for glibc. No package runs scripts while it is installed: everything
# native comes prebuilt.

FROM node:24.21.0-bookworm-slim AS build
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci --ignore-scripts
COPY tsconfig.json tsconfig.build.json ./
COPY scripts ./scripts
COPY src ./src
RUN npm run build

FROM node:24.21.0-bookworm-slim AS dependencies
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci --ignore-scripts --omit=dev

FROM node:24.21.0-bookworm-slim
WORKDIR /app
# Inside a container the loopback address reaches nobody.
ENV NODE_ENV=production QUIVER_REST_ADDR=0.0.0.0:6333
COPY --from=dependencies /app/node_modules ./node_modules
COPY --from=build /app/dist ./dist
COPY package.json LICENSE ./
COPY deploy/healthcheck.js ./deploy/
USER node
EXPOSE 6333
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=6 CMD ["node", "deploy/healthcheck.js"]
# Node itself is process 1: it handles SIGTERM, stops in order and leaves no children behind. `serve` needs TEMPORAL_ADDRESS here,
# for the image holds no Temporal.
CMD ["node", "dist/main.js", "serve"]
