# syntax=docker/dockerfile:1
FROM node:24-slim AS build
WORKDIR /tephra
COPY package.json package-lock.json .npmrc ./
RUN npm ci --no-audit --no-fund
COPY tsconfig.json tsconfig.build.json ./
COPY scripts ./scripts
COPY src ./src
RUN npm run build && npm prune --omit=dev --no-audit --no-fund

FROM node:24-slim
ENV NODE_ENV=production
WORKDIR /tephra
COPY --from=build /tephra/package.json ./
COPY --from=build /tephra/node_modules ./node_modules
COPY --from=build /tephra/dist ./dist
COPY bin ./bin
COPY LICENSE ./
RUN install --directory --owner=node --group=node --mode=0700 /data
USER node
VOLUME /data
EXPOSE 4040
HEALTHCHECK --interval=10s --timeout=3s --start-period=5s --retries=3 \
  CMD ["node", "-e", "fetch('http://127.0.0.1:4040/healthz').then((answer) => process.exit(answer.ok ? 0 : 1), () => process.exit(1))"]
# Within a container the port is reachable only as far as it is published: publish it to loopback or
# to a network that you trust.
ENTRYPOINT ["node", "bin/tephra.cjs"]
CMD ["serve", "--listen", "0.0.0.0:4040", "--insecure-no-auth", "--data-dir", "/data"]
