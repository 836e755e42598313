# Push in a container: pushd, push with its load tool, lwsws, the plugins, the console and their libraries; no shell, no
# package manager.
#
#   docker build -t push --build-arg REVISION=$(git rev-parse HEAD) --build-arg SOURCE_DATE_EPOCH=$(git log -1 --format=%ct) .
#   docker run --rm -p 8080:8080 --read-only --cap-drop ALL --security-opt no-new-privileges push
#
# The stages: base (Debian) -> deps (server/deps: lwsws and hiredis) -> build -> test, and the last one, which is the
# image.  What changes seldom comes first: a change of Push's own source builds neither lwsws nor the rest of deps anew.
#
# For an image that comes out the same, byte for byte: name the base by its digest, a moment of Debian's archive
# (snapshot.debian.org) and the commit's time.  Without the latter, files have the time of the build.
ARG BASE=debian:trixie-slim

FROM ${BASE} AS base
ARG DEBIAN_SNAPSHOT=
ENV DEBIAN_FRONTEND=noninteractive
RUN if [ -n "$DEBIAN_SNAPSHOT" ]; then \
        rm -f /etc/apt/sources.list /etc/apt/sources.list.d/*; \
        for suite in debian:trixie debian-security:trixie-security; do \
            printf 'Types: deb\nURIs: http://snapshot.debian.org/archive/%s/%s\nSuites: %s\nComponents: main\nSigned-By: /usr/share/keyrings/debian-archive-keyring.gpg\n\n' \
                "${suite%:*}" "$DEBIAN_SNAPSHOT" "${suite#*:}"; \
        done >/etc/apt/sources.list.d/snapshot.sources; \
        echo 'Acquire::Check-Valid-Until "false";' >/etc/apt/apt.conf.d/90snapshot; \
    fi

# The list of packages is server/deps' own; python3 is for server/image-root.
FROM base AS deps
WORKDIR /src
COPY server/deps server/lib.sh server/
COPY server/deps.d server/deps.d
# versions are those of the snapshot; the lists are for server/deps, and no layer of these is in the image
# hadolint ignore=DL3008,DL3009
RUN apt-get update -qq && apt-get install -y -qq --no-install-recommends binutils python3 >/dev/null && server/deps

FROM deps AS build
COPY CMakeLists.txt CMakePresets.json LICENSE conf ./
COPY conf.d conf.d
COPY mounts mounts
COPY plugins plugins
COPY server server
# the load tool of push bench
COPY tests/bench/src tests/bench/src
# server/deps and server/lib.sh are what they were: nothing is built again
RUN cmake --preset release -DPUSH_TESTS=OFF -DCMAKE_INSTALL_LIBDIR=lib && cmake --build --preset release --target push
ARG SOURCE_DATE_EPOCH
RUN server/image-root /image

# compose.test.yaml runs the tests in this one.
FROM deps AS test
# hadolint ignore=DL3008
RUN apt-get install -y -qq --no-install-recommends curl iproute2 libcmocka-dev openssl procps psmisc python3-pytest \
        redis-server redis-tools util-linux valgrind >/dev/null
COPY . .
RUN cmake --preset release && cmake --build --preset release
CMD ["ctest", "--test-dir", "build/release", "--output-on-failure", "-L", "unit"]

FROM scratch AS push
ARG PUSH_VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Push" \
      org.opencontainers.image.description="Real-time push messaging by WebSocket and Server-Sent Events" \
      org.opencontainers.image.version="${PUSH_VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.licenses="MIT"
COPY --from=build /image /
ENV PATH=/usr/bin
USER 10001:10001
EXPOSE 8080 8000
# a drain: clients are asked to reconnect; give it longer than push.drain.duration (docker stop -t 60)
STOPSIGNAL SIGTERM
# alive, not ready: who restarts what is unhealthy shall not do so while Redis is away
HEALTHCHECK --interval=5s --timeout=3s --start-period=10s --retries=3 CMD ["/usr/bin/pushd", "--health", "live"]
ENTRYPOINT ["/usr/bin/pushd"]
