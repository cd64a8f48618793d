#!/bin/sh
# Installs what Keelson needs on a Debian machine and finds missing: npm packages (the pinned Node.js among them) and,
# through apt-get, the real parts a cluster runs on. Says exactly what it needs where it may not or cannot.
#   setup.sh run    what `npm start` needs
#   setup.sh test   the peers that `npm test` judges against, as well
set -eu
cd "$(dirname "$0")/.."
purpose=${1:-run}

say() { printf 'keelson set-up: %s\n' "$*"; }
fail() { printf 'keelson set-up: %s\n' "$*" >&2; exit 1; }

[ "$(uname -s)" = Linux ] || fail "needs Linux: nodes are network namespaces with real containers in them. Run it on a Debian 12 machine."
[ "$(id -u)" = 0 ] || fail "needs root to make network namespaces and to run containers. Run it again as root (sudo npm ${npm_lifecycle_event:-start})."

# npm packages, again when the lock file has changed since. Not `npm ci`: it refuses a lock file that leaves out other
# platforms' binaries.
if [ ! -x node_modules/.bin/node ] || ! cmp -s package-lock.json node_modules/.keelson-lock; then
  command -v npm >/dev/null || fail "needs npm (and any Node.js from 20 on). Install them: apt-get install nodejs npm"
  say "installing the npm packages and the pinned Node.js"
  npm install --no-save --no-fund --no-audit --loglevel=error || fail "npm install failed: see above. It needs the npm registry."
  cp package-lock.json node_modules/.keelson-lock
fi
[ "$(node_modules/.bin/node -p 1 2>/dev/null)" = 1 ] || fail "node_modules/.bin/node does not run on this machine ($(uname -m)): want x86_64 or aarch64 with glibc"

# Debian packages, by what is there rather than by name: another source of the same program is fine.
missing=
need() { missing="$missing $1"; }
command -v containerd >/dev/null || need containerd
command -v runc >/dev/null || need runc
[ -x /usr/lib/cni/bridge ] || [ -x /opt/cni/bin/bridge ] || need containernetworking-plugins
command -v nft >/dev/null || [ -x /usr/sbin/nft ] || need nftables
command -v ip >/dev/null || [ -x /usr/sbin/ip ] || need iproute2
command -v nsenter >/dev/null || need util-linux
command -v mount >/dev/null || need mount
command -v kubectl >/dev/null || need kubernetes-client
# The demo images hold nothing but a static busybox.
if [ ! -x /bin/busybox ] || ldd /bin/busybox >/dev/null 2>&1; then need busybox-static; fi
if [ "$purpose" = test ]; then
  command -v etcd >/dev/null || need etcd-server
  command -v prometheus >/dev/null || need prometheus
  command -v curl >/dev/null || need curl
  command -v chromium >/dev/null || need chromium
  command -v mkfs.ext4 >/dev/null || [ -x /usr/sbin/mkfs.ext4 ] || need e2fsprogs
fi
command -v etcdctl >/dev/null || need etcd-client
if [ -n "$missing" ]; then
  command -v apt-get >/dev/null || fail "needs these programs, and there is no apt-get to install them with:$missing. Install them by hand and run it again."
  say "installing from Debian:$missing"
  # The packages' own services must not start: the cluster runs its own, each in its namespace.
  policy=/usr/sbin/policy-rc.d
  if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
    trap 'rm -f "$policy"' EXIT
  fi
  log=$(mktemp)
  apt-get update >"$log" 2>&1 || { cat "$log" >&2; fail "apt-get update failed: see above"; }
  # shellcheck disable=SC2086 # a list of package names
  DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $missing >"$log" 2>&1 ||
    { tail -20 "$log" >&2; fail "apt-get install$missing failed: see above"; }
  rm -f "$log"
  say "done"
fi

# What only Go has. Without Go, or when it cannot be had, the one test that wants it says so.
peers=$PWD/node_modules/.peers
if [ "$purpose" = test ] && command -v go >/dev/null && ! command -v h2spec >/dev/null && [ ! -x "$peers/h2spec" ]; then
  say "building h2spec"
  GOBIN=$peers timeout 300 go install github.com/summerwind/h2spec/cmd/h2spec@v2.2.1+incompatible >/dev/null 2>&1 ||
    say "h2spec could not be built: its test is left out"
fi
