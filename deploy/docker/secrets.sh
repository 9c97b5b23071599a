#!/bin/sh
# Writes the secrets from the environment, and generates missing ones, into the folder of all secrets.
# Then gives each container its own: a folder per service under /run/secrets/for, with files that only
# the user of that container can read (mode 0400). `show` prints the secrets that users need.
set -eu
cd "${WAHOOK_SECRETS_ALL:-/run/secrets/wahook}"
for=${WAHOOK_SECRETS_FOR:-/run/secrets/for}

# Users in the images: wahook, RabbitMQ, MongoDB, Grafana.
wahook=10001:10001
rabbitmq=999:999
mongodb=999:999
grafana=472:0

main() {
  if [ "${1:-}" = show ]; then
    show
  else
    umask 077
    write
    distribute
  fi
}

show() {
  for name in producer_token console_token webhook_secret grafana_password mongodb_uri; do
    printf '%-17s %s\n' "$name" "$(cat "$name")"
  done
}

write() {
  [ -z "${PRODUCER_TOKEN:-}" ] || put producer_token "$PRODUCER_TOKEN"
  [ -z "${CONSOLE_TOKEN:-}" ] || put console_token "$CONSOLE_TOKEN"
  [ -z "${WEBHOOK_SECRET:-}" ] || put webhook_secret "$WEBHOOK_SECRET"
  for name in producer_token console_token webhook_secret grafana_password rabbitmq_password erlang_cookie \
    mongodb_password mongodb_keyfile; do
    [ -s "$name" ] || generate "$name"
  done
  password=$(cat rabbitmq_password)
  write_nodes
  [ -s mongodb_uri ] ||
    put mongodb_uri "mongodb://wahook:$(cat mongodb_password)@mongo:27017/?authSource=admin&replicaSet=rs0"
  mkdir -p rabbitmq
  [ -s rabbitmq/wahook.conf ] || put rabbitmq/wahook.conf "default_user = wahook
default_pass = $password
loopback_users.guest = true
log.console = true
"
  # Earlier versions wrote these files readable for every user of the machine.
  chmod 600 producer_token webhook_secret grafana_password rabbitmq_password mongodb_password mongodb_keyfile \
    amqp_url mongodb_uri rabbitmq/wahook.conf
}

# The address of the broker and the members of its cluster. RABBITMQ_NODES has the hosts, separated by spaces.
write_nodes() {
  hosts='' members='' number=0
  for node in ${RABBITMQ_NODES:-rabbitmq}; do
    number=$((number + 1))
    hosts=$hosts${hosts:+,}$node:5672
    members="${members}cluster_formation.classic_config.nodes.$number = rabbit@$node
"
  done
  [ $number -gt 1 ] || members=''
  # An address of your own is kept.
  case $(cat amqp_url 2> /dev/null || :) in
    '' | "amqp://wahook:$password@rabbitmq:5672"*) put amqp_url "amqp://wahook:$password@$hosts/%2f" ;;
  esac
  mkdir -p rabbitmq
  # A burst can fill RabbitMQ's usual 50 MB between two of its checks. wahook.conf is read later and wins.
  put rabbitmq/cluster.conf "queue_leader_locator = balanced
disk_free_limit.absolute = 1GB
$members"
}

distribute() {
  give producer "$wahook" producer_token "$(address producer)"
  give consumer "$wahook" webhook_secret "$(address consumer)" mongodb_uri
  give console "$wahook" console_token "$(address console)" mongodb_uri
  give rabbitmq "$rabbitmq" rabbitmq/wahook.conf rabbitmq/cluster.conf erlang_cookie
  give mongo "$mongodb" mongodb_password mongodb_keyfile
  give grafana "$grafana" grafana_password
  give demo "$wahook" producer_token
  # Files of `secret_file` in a folder of your own.
  for name in *; do
    case $name in
      producer_token | console_token | webhook_secret | grafana_password | rabbitmq_password | erlang_cookie | *amqp_url | mongodb_*) ;;
      *) [ ! -f "$name" ] || give consumer "$wahook" "$name" ;;
    esac
  done
}

# Prints the file with the address of the broker for one program: its own, or that of all.
address() {
  if [ -s "$1_amqp_url" ]; then echo "$1_amqp_url"; else echo amqp_url; fi
}

generate() {
  put "$1" "$(od -An -tx1 -N32 /dev/urandom | tr -d ' \n')"
  echo "generated $1"
}

# A file is replaced as a whole, so that no program reads half of it.
put() {
  printf '%s' "$2" > "$1.new"
  mv "$1.new" "$1"
}

# give SERVICE OWNER FILE...
give() {
  to=$for/$1 owner=$2
  shift 2
  mkdir -p "$to"
  for file in "$@"; do
    name=${file##*/}
    case $name in *_amqp_url) name=amqp_url ;; esac
    cp "$file" "$to/$name.new"
    chown "$owner" "$to/$name.new"
    chmod 400 "$to/$name.new"
    mv "$to/$name.new" "$to/$name"
  done
  chown "$owner" "$to"
  chmod 500 "$to"
}

main "$@"
