#!/usr/bin/env bash
# Builds local images under the names of the base images, from Debian packages, the local Rust
# toolchain and the mongod of the tests, for a Docker Engine that can't pull images.
#
#   standins.sh FOLDER      DOCKER_HOST is the address of the engine
#
# Differences to the real images: RabbitMQ is Debian's 3.10, MongoDB is 6.0 with a stand-in for
# mongosh, Prometheus is Debian's 2.42. Grafana has no stand-in.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
work=$1
packages=gcc,libc6-dev,ca-certificates,rabbitmq-server,prometheus,libcurl4,python3-minimal
cargo_home=${CARGO_HOME:-$HOME/.cargo}

main() {
  local slim=$work/slim all=$work/all
  say "debootstrap (two root file systems)"
  bootstrap "$slim"
  bootstrap "$all" --include="$packages"
  add_rust "$all"
  install -D -m 755 "$root/.local/mongod/bin/mongod" "$all/usr/local/bin/mongod"
  install -D -m 755 "$root/tests/compose/mongosh" "$all/usr/local/bin/mongosh"
  echo '[rabbitmq_management,rabbitmq_prometheus].' > "$all/etc/rabbitmq/enabled_plugins"
  rm -f "$all/etc/rabbitmq/rabbitmq.conf" "$all/etc/rabbitmq/rabbitmq-env.conf"
  # The start script of the real image.
  printf '#!/bin/sh\nexec /usr/lib/rabbitmq/bin/"$@"\n' > "$all/usr/local/bin/docker-entrypoint.sh"
  chmod 755 "$all/usr/local/bin/docker-entrypoint.sh"
  # The user of the real images, who owns the secrets.
  chroot "$all" usermod --uid 999 rabbitmq
  chroot "$all" chown -R rabbitmq /var/lib/rabbitmq /var/log/rabbitmq
  say "docker import"
  import "$slim" debian:12.13-slim --change 'CMD ["bash"]'
  import "$all" wahook-standins
  image rust:1.95-slim-bookworm 'ENV PATH=/usr/local/rust/bin:/usr/bin:/bin CARGO_HOME=/usr/local/cargo CARGO_NET_OFFLINE=true'
  image rabbitmq:4.3.6-management 'ENV HOME=/var/lib/rabbitmq
VOLUME /var/lib/rabbitmq
USER rabbitmq
ENTRYPOINT ["/usr/lib/rabbitmq/bin/rabbitmq-server"]'
  image mongo:8.0.17 'RUN useradd --system --non-unique --uid 999 --no-create-home mongodb && mkdir -p /data/db && chown mongodb /data/db
USER mongodb
ENTRYPOINT ["mongod"]'
  image prom/prometheus:v3.5.3 'RUN mkdir -p /prometheus && chown nobody /prometheus
USER nobody
ENTRYPOINT ["/usr/bin/prometheus"]'
}

bootstrap() {
  local target=$1
  shift
  PATH=$PATH:/usr/sbin:/sbin debootstrap --variant=minbase "$@" bookworm "$target" > "$target.log" 2>&1 ||
    { tail -n 5 "$target.log" >&2; exit 1; }
  rm -rf "$target"/var/cache/apt/archives/*.deb "$target"/var/lib/apt/lists/*
}

# Copies the local toolchain and downloaded packages, so that the build needs no network.
add_rust() {
  local toolchain
  toolchain=$(cd "$root" && rustc --print sysroot)
  mkdir -p "$1/usr/local/rust" "$1/usr/local/cargo/registry"
  cp -a "$toolchain/bin" "$toolchain/lib" "$1/usr/local/rust/"
  (cd "$root" && cargo fetch --locked --quiet)
  cp -a "$cargo_home/registry/index" "$cargo_home/registry/cache" "$1/usr/local/cargo/registry/"
  [ ! -e "$cargo_home/config.toml" ] || cp "$cargo_home/config.toml" "$1/usr/local/cargo/"
}

import() {
  local folder=$1 name=$2
  shift 2
  tar -C "$folder" -c . | docker import "$@" - "$name" > /dev/null
}

image() {
  printf 'FROM wahook-standins\n%s\n' "$2" | DOCKER_BUILDKIT=0 docker build -q -t "$1" - > /dev/null 2>"$work/build.log" ||
    { cat "$work/build.log" >&2; exit 1; }
}

say() { echo "stand-ins: $*"; }

main
