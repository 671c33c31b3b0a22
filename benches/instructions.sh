#!/usr/bin/env bash
# Instructions in user space for one unary call, and system calls for a hundred: barewire beside bare h2.
#
# Needs h2load (Debian: nghttp2-client), valgrind and strace. A run with few calls is subtracted from
# one with more, so that start-up does not count. Takes about two minutes.
set -euo pipefail
cd "$(dirname "$0")/.."

for tool in h2load valgrind strace; do
    command -v "$tool" >/dev/null || { echo "this needs $tool" >&2; exit 1; }
done
cargo build --release --no-default-features --features server \
    --example greeter_by_hand --example bare_h2
scratch=$(mktemp -d)
server=
trap 'kill "$server" 2>/dev/null || true; rm -rf "$scratch"' EXIT
printf '\0\0\0\0\x07\x0a\x05world' >"$scratch/request"

# start COMMAND...: runs a server on a free port, in $port, under the command.
start() {
    port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
    "$@" "127.0.0.1:$port" 2>"$scratch/errors" &
    server=$!
    until (: <"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do sleep 0.1; done
}

# load CALLS CONNECTIONS STREAMS
load() {
    h2load -n "$1" -c "$2" -m "$3" -d "$scratch/request" -H 'content-type: application/grpc' \
        -H 'te: trailers' "http://127.0.0.1:$port/helloworld.Greeter/SayHello" >"$scratch/load"
    grep -q "$1 succeeded" "$scratch/load"
}

# stop: ends the server; whatever watched it has then written its sums.
stop() {
    pkill -TERM -P "$server" 2>/dev/null || kill -TERM "$server"
    wait "$server" 2>/dev/null || true
}

instructions() {
    start valgrind --tool=callgrind --callgrind-out-file=/dev/null "target/release/examples/$1"
    load "$4" "$2" "$3"
    stop
    awk '/Collected/ { print $4 }' "$scratch/errors"
}

printf '%-18s %-10s %14s\n' server load instructions
for shape in '1 1' '1 100' '50 10'; do
    read -r connections streams <<<"$shape"
    for name in greeter_by_hand bare_h2; do
        few=$(instructions "$name" "$connections" "$streams" 2000)
        more=$(instructions "$name" "$connections" "$streams" 6000)
        printf '%-18s %-10s %14d\n' "$name" "$connections x $streams" $(((more - few) / 4000))
    done
done

printf '\n%-18s %-10s %14s\n' server load 'syscalls/100'
for name in greeter_by_hand bare_h2; do
    start strace -f -c -o "$scratch/calls" "target/release/examples/$name"
    load 20000 1 100
    stop
    sum=$(awk '$NF == "total" { print $(NF - 1) ~ /^[0-9]+$/ ? $4 : $3 }' "$scratch/calls")
    printf '%-18s %-10s %14d\n' "$name" '1 x 100' $((sum * 100 / 20000))
done
