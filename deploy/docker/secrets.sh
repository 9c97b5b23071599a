#!/bin/sh
# Writes the secrets from the environment, and generates missing ones, one file each, into the folder
# that the other containers read. `show` prints the secrets that users need.
set -eu
cd /run/secrets/wahook

if [ "${1:-}" = show ]; then
  for name in producer_token webhook_secret grafana_password; do
    printf '%-17s %s\n' "$name" "$(cat "$name")"
  done
  exit
fi

# The files are world-readable because each container reads them as another unprivileged user. Access
# is restricted by the folder.
umask 022
keep() {
  [ -z "$2" ] || printf '%s' "$2" > "$1"
}
keep producer_token "${PRODUCER_TOKEN:-}"
keep webhook_secret "${WEBHOOK_SECRET:-}"
for name in producer_token webhook_secret grafana_password rabbitmq_password; do
  if [ ! -s "$name" ]; then
    od -An -tx1 -N32 /dev/urandom | tr -d ' \n' > "$name.new"
    mv "$name.new" "$name"
    echo "generated $name"
  fi
done
password=$(cat rabbitmq_password)
[ -s amqp_url ] || printf 'amqp://wahook:%s@rabbitmq:5672/%%2f' "$password" > amqp_url
mkdir -p rabbitmq
[ -s rabbitmq/wahook.conf ] || cat > rabbitmq/wahook.conf <<CONF
default_user = wahook
default_pass = $password
loopback_users.guest = true
log.console = true
CONF
