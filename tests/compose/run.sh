#!/usr/bin/env bash
# Tests the images and docker-compose.yml with a real Docker Engine: build, up, deliver an event,
# scale to three consumers, kill one, down. Starts a private engine and removes it afterwards. The
# base images are local stand-ins (standins.sh). Requires root.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
cd "$root"
work=$(mktemp -d "${TMPDIR:-/tmp}/wahook-compose.XXXXXX")
export DOCKER_HOST=unix://$work/sock COMPOSE_PROJECT_NAME=wahook-test
# All services except the console, and Grafana, which has no local stand-in.
services=(producer consumer rabbitmq mongo prometheus demo)
producer=http://127.0.0.1:8080
engine=

main() {
  trap clean_up EXIT
  start_engine
  tests/compose/standins.sh "$work"
  say "build"
  compose build producer consumer demo
  check_image producer 8080
  check_image consumer 9091
  say "up"
  compose up -d "${services[@]}"
  wait_for "the producer is ready" producer_is_ready
  token=$(compose run --rm secrets show | awk '/^producer_token/ {print $2}' | tr -d '\r')
  wait_for "an event is delivered" event_goes_through
  say "secrets"
  check_secrets
  say "three consumers"
  compose up -d --scale consumer=3 "${services[@]}"
  wait_for "Prometheus discovers three consumers by DNS" sees_consumers 3
  say "one consumer is killed"
  docker kill "$(compose ps -q consumer | head -n 1)" > /dev/null
  wait_for "an event is delivered" event_goes_through
  wait_for "Prometheus sees only the two remaining consumers" sees_consumers 2
  say "no webhook"
  refuses_without_webhook
  say "several endpoints"
  use_endpoints_file
  wait_for "the endpoints file is used" consumer_logged '"endpoint":"demo"'
  wait_for "an event is delivered" event_goes_through
  sed 's/demo"$/second"/' "$work/config/endpoints.toml" > "$work/second"
  cat "$work/second" >> "$work/config/endpoints.toml"
  compose kill -s HUP consumer
  wait_for "SIGHUP adds an endpoint" consumer_logged '"endpoint":"second"'
  say "cluster of three RabbitMQ nodes"
  export COMPOSE_FILE=docker-compose.yml:docker-compose.cluster.yml
  compose up -d "${services[@]}" rabbitmq2 rabbitmq3
  wait_for "three nodes form a cluster" has_three_nodes
  for node in rabbitmq2 rabbitmq3; do compose exec -T rabbitmq rabbitmq-queues grow "rabbit@$node" all > /dev/null; done
  docker kill "$(compose ps -q rabbitmq)" > /dev/null
  wait_for "an event is delivered without the first node" event_goes_through
  say "down"
  compose down -v
  [ -z "$(docker ps -aq)" ] || fail "containers are left"
  say "all checks passed"
}

start_engine() {
  PATH=$PATH:/usr/sbin:/sbin dockerd --data-root "$work/data" --exec-root "$work/exec" \
    --pidfile "$work/pid" -H "$DOCKER_HOST" --storage-driver overlay2 > "$work/log" 2>&1 &
  engine=$!
  for _ in $(seq 60); do
    docker version > /dev/null 2>&1 && return
    kill -0 "$engine" 2> /dev/null || break
    sleep 0.5
  done
  tail -n 5 "$work/log" >&2
  fail "no Docker Engine can run here (see above)"
}

# Checks an image: at most 40 MB above its base, runs read-only and unprivileged, listens within 1 s.
check_image() {
  local name=$1 port=$2 image=${COMPOSE_PROJECT_NAME}_$1 base added id logs
  base=$(docker image inspect -f '{{.Size}}' debian:12.13-slim)
  added=$((($(docker image inspect -f '{{.Size}}' "$image") - base) / 1000000))
  [ "$added" -lt 40 ] || fail "$name adds $added MB to its base"
  [ "$(docker image inspect -f '{{.Config.User}}' "$image")" = 10001:10001 ] || fail "$name runs as root"
  id=$(docker run -d --read-only --cap-drop ALL --security-opt no-new-privileges --network none \
    -e AMQP_URL=amqp://127.0.0.1:1 -e "MONGODB_URI=mongodb://127.0.0.1:1" \
    -e WEBHOOK_URL=https://example.com/ -e PRODUCER_TOKEN=0123456789abcdef0123456789abcdef "$image")
  wait_for "$name passes its health check" docker exec "$id" "wahook-$name" health
  docker exec "$id" "wahook-$name" health --ready > /dev/null 2>&1 && fail "$name is ready without a broker"
  logs=$(docker logs "$id" 2>&1)
  started=$(docker inspect -f '{{.State.StartedAt}}' "$id")
  listening=$(docker logs -t "$id" 2>&1 | awk '/listening on/ {print $1; exit}')
  [ -n "$listening" ] || fail "$name does not listen: $logs"
  took=$((($(date -d "$listening" +%s%N) - $(date -d "$started" +%s%N)) / 1000000))
  [ "$took" -lt 1000 ] || fail "$name took $took ms to listen"
  docker rm -f "$id" > /dev/null
  say "$name adds $added MB to its base, listens on $port after $took ms, read-only, unprivileged"
}

has_three_nodes() {
  [ "$(compose exec -T rabbitmq rabbitmqctl -q eval 'length([node() | nodes()]).' | tr -d '\r')" = 3 ]
}

producer_is_ready() { compose exec -T producer wahook-producer health --ready; }

# Each container has only its own secrets, readable by its user only, and MongoDB requires its password.
check_secrets() {
  local service expected found
  while read -r service expected; do
    found=$(docker run --rm --read-only -v "${COMPOSE_PROJECT_NAME}_secrets-$service:/s:ro" debian:12.13-slim \
      find /s -type f -printf '%f:%m:%U\n' | LC_ALL=C sort | paste -sd ' ')
    [ "$found" = "$expected" ] || fail "secrets of $service: $found"
  done <<'EXPECTED'
producer amqp_url:400:10001 producer_token:400:10001
consumer amqp_url:400:10001 mongodb_uri:400:10001 webhook_secret:400:10001
console amqp_url:400:10001 console_token:400:10001 mongodb_uri:400:10001
rabbitmq cluster.conf:400:999 erlang_cookie:400:999 wahook.conf:400:999
mongo mongodb_keyfile:400:999 mongodb_password:400:999
grafana grafana_password:400:472
demo producer_token:400:10001
EXPECTED
  compose exec -T mongo mongosh --refused || fail "MongoDB answers a client without a password"
}

# The demo webhook logs the status of each answer.
event_goes_through() {
  local id=proof-$RANDOM$RANDOM
  curl -sf -m 5 "$producer/v1/events" -H "Authorization: Bearer $token" -H "Idempotency-Key: $id" -H "Content-Type: application/json" \
    -d '{"event":"message_create","data":{"body":"proof"}}' > /dev/null || return
  for _ in $(seq 40); do
    if compose logs --no-color demo 2> /dev/null | grep -q "$id attempt [0-9]*: 200"; then return; fi
    sleep 0.5
  done
  return 1
}

sees_consumers() {
  curl -sf -m 5 -G http://127.0.0.1:9090/api/v1/query \
    --data-urlencode 'query=count(up{job="wahook-consumer"} == 1)' | grep -q ",\"$1\"\]"
}

# The consumer itself reports that neither WEBHOOK_URL nor WEBHOOK_ENDPOINTS is set.
refuses_without_webhook() {
  local refused
  refused=$(WEBHOOK_URL='' compose run --rm --no-deps -T consumer 2>&1) && fail "a consumer without a webhook runs"
  grep -q "WEBHOOK_URL is not set" <<< "$refused" || fail "a consumer without a webhook says: $refused"
}

use_endpoints_file() {
  mkdir "$work/config"
  printf '[[endpoint]]\nname = "demo"\nurl = "http://demo:4000/webhook"\n' > "$work/config/endpoints.toml"
  chmod -R a+rX "$work/config"
  export WAHOOK_CONFIG=$work/config WEBHOOK_URL='' WEBHOOK_SECRET_FILE='' WEBHOOK_ENDPOINTS=/etc/wahook/endpoints.toml
  compose up -d --no-deps consumer
}

consumer_logged() { compose logs --no-color consumer 2> /dev/null | grep -qF -e "$1"; }

wait_for() {
  local what=$1 end=$((SECONDS + 240))
  shift
  until "$@" > "$work/last" 2>&1; do
    [ $SECONDS -lt $end ] || { cat "$work/last" >&2; compose ps >&2 || true; compose logs --tail 15 >&2 || true; fail "not within 240 s: $what"; }
    sleep 1
  done
  say "$what"
}

compose() { docker-compose --env-file deploy/demo.env "$@"; }

clean_up() {
  local status=$?
  if [ -n "$engine" ]; then
    # shellcheck disable=SC2046 # Ids are single words.
    docker rm -f $(docker ps -aq) > /dev/null 2>&1 || true
    kill "$engine" 2> /dev/null || true
    wait "$engine" 2> /dev/null || true
  fi
  rm -rf "$work"
  exit $status
}

say() { echo "compose: $*"; }

fail() {
  echo "compose: $*" >&2
  exit 1
}

main
