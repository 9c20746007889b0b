# Built in one stage; the image itself holds node, the libraries that it loads, and taffrail: no shell, no package
# manager, nothing to write to but stateDir, so the root file system can be mounted read-only.
#
# The user is not root. Container logs usually belong to root: let the pod run as root with all capabilities dropped, or
# give this user a group that may read them.

FROM node:24-bookworm-slim AS build
WORKDIR /taffrail
COPY package.json package-lock.json .npmrc ./
# Without scripts: the npm package `node` fetches a runtime in one, for machines with an older Node; here is the right one.
RUN npm ci --ignore-scripts
COPY tsconfig.json tsconfig.build.json ./
COPY src ./src
COPY LICENSE ./
RUN npm run build && npm prune --omit=dev --ignore-scripts
# What the image consists of, gathered below /image: each library under its own path, links followed. There is no env that would
# look for node.
RUN mkdir -p /image/taffrail /image/usr/local/bin /image/var/lib/taffrail /image/tmp \
 && ldd "$(command -v node)" node_modules/@napi-rs/snappy-linux-*-gnu/*.node \
    | grep -oE '/[^ ]+\.so[^ ]*' | sort -u | xargs -I{} cp -L --parents {} /image \
 && cp "$(command -v node)" /image/usr/local/bin/node \
 && cp -R package.json LICENSE node_modules dist /image/taffrail \
 && sed -i '1s|.*|#!/usr/local/bin/node|' /image/taffrail/dist/main.js \
 && chmod 0755 /image/taffrail/dist/main.js \
 && ln -s /taffrail/dist/main.js /image/usr/local/bin/taffrail \
 && chown 65532:65532 /image/var/lib/taffrail

FROM scratch
COPY --from=build /image /
LABEL org.opencontainers.image.title="taffrail" \
      org.opencontainers.image.description="A log agent for Kubernetes nodes" \
      org.opencontainers.image.licenses="Apache-2.0"
ENV NODE_ENV=production PATH=/usr/local/bin
USER 65532:65532
EXPOSE 9095
ENTRYPOINT ["/usr/local/bin/taffrail"]
CMD ["run", "--config", "/etc/taffrail/config.yaml"]
