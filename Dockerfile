# A static binary on nothing else. Build: docker build -t cenote --build-arg VERSION=1.2.3 .
#
# Run:
#   docker run -d --name cenote -p 53:53/udp -p 53:53/tcp \
#     -v /etc/cenote:/etc/cenote:ro -v cenote-state:/var/lib/cenote cenote
#   docker exec cenote /cenote sightings
#
# Mount directories, never single files: a bind mount of a file holds its inode, so that a list or a configuration that is
# replaced on the host by rename, as most tools do, would never be seen inside.

FROM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG VERSION=
RUN CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X main.version=$VERSION" -o /out/cenote ./cmd/cenote \
 && mkdir -p /out/state /out/etc

FROM scratch
COPY --from=build /out/cenote /cenote
# The server's user has no rights but these two directories. 65532 is the number that other images use for nobody in particular.
COPY --from=build --chown=65532:65532 /out/state /var/lib/cenote
COPY --from=build --chown=65532:65532 /out/etc /etc/cenote
USER 65532:65532
ENV STATE_DIRECTORY=/var/lib/cenote CENOTE_CONFIG=/etc/cenote/cenote.yaml
VOLUME /var/lib/cenote
EXPOSE 53/udp 53/tcp
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s CMD ["/cenote", "health"]
ENTRYPOINT ["/cenote"]
CMD ["serve"]
