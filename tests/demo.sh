#!/bin/sh
# Real packets, captured by an ordinary user: a page is fetched over HTTP, and shown as captured.
# Run by `make demo` as root, after the build.
set -eu
cd "$(dirname "$0")/.."

[ "$(id -u)" = 0 ] || { echo 'demo: run it as root' >&2; exit 1; }

# A network namespace without a name: it is gone with its last process, however that ends.
[ "${1:-}" = in-namespace ] || exec unshare --net "$PWD/tests/demo.sh" in-namespace

uid=2000
stage=$(mktemp -d)

clean_up() {
	trap '' HUP INT TERM # a signal that is still pending must not end the cleaning
	jobs -p >"$stage/jobs" # not the variables: a signal may come before $! is kept in one
	while read -r pid; do
		kill -KILL "$pid" 2>/dev/null || true # a child that is not yet its program would lose another signal
		wait "$pid" 2>/dev/null || true
	done <"$stage/jobs"
	rm -rf "$stage"
}
trap clean_up EXIT
trap 'exit 1' HUP INT TERM

# wait_for COMMAND...: until it succeeds, 10 seconds at most
wait_for() {
	tries=100
	until "$@" 2>/dev/null; do
		tries=$((tries - 1))
		[ "$tries" -gt 0 ] || { echo "demo: waited in vain for: $*" >&2; exit 1; }
		sleep 0.1
	done
}

fetch() {
	curl -sS http://127.0.0.1:8080/
}

chmod 0755 "$stage"
export TMPDIR="$stage" # a compiler that is interrupted leaves its files, too
make -s install prefix="$stage" >/dev/null
mkdir "$stage/www"
echo 'Hello from the demo.' >"$stage/www/index.html"

ip link set lo up
busybox httpd -f -p 127.0.0.1:8080 -h "$stage/www" &
wait_for fetch >/dev/null

echo
echo "uid $uid: cf-pcap -interface lo -filter 'tcp port 8080' > capture.pcap"
setpriv --reuid=$uid --regid=$uid --clear-groups \
	"$stage/bin/cf-pcap" -interface lo -filter 'tcp port 8080' >"$stage/capture.pcap" &
capture=$!
wait_for test -s "$stage/capture.pcap"
fetch
kill -INT "$capture"
wait "$capture"

echo
echo 'tcpdump -nr capture.pcap'
cd "$stage" && tcpdump -nr capture.pcap
