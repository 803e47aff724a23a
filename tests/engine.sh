#!/bin/bash
# A Docker engine for the tests only, for machines without a running engine or without access to a hub.
#
#   $ export DOCKER_HOST=$(tests/engine.sh start)   # starts it; other engines are not touched
#   $ tests/engine.sh base trixie                   # makes the image dreamer-base:trixie from Debian's packages,
#                                                   # in the engine that DOCKER_HOST names
#   $ tests/engine.sh base trixie arm64             # the same for arm64, as dreamer-base:trixie-arm64; needs an emulator
#   $ tests/engine.sh running                       # prints its address, or fails
#   $ tests/engine.sh stop                          # stops it; its images stay for the next start
#   $ tests/engine.sh remove                        # stops it and deletes its files
#
# Needs root and the packages docker.io, iptables and mmdebstrap. DREAMER_ENGINE is its folder, DREAMER_ENGINE_RUN the
# folder of its socket (if set, the engine has no network), DREAMER_ENGINE_OPTIONS are options for dockerd. A second
# engine needs its own values of the first two.
set -euo pipefail

folder=${DREAMER_ENGINE:-/var/lib/dreamer-engine}
run=${DREAMER_ENGINE_RUN:-/run/dreamer-engine} # a socket's path must be short
own=unix://$run/docker.sock

fail() {
    echo "engine.sh: $*" >&2
    exit 1
}

alive() {
    [ -s "$run/dockerd.pid" ] && kill -0 "$(cat "$run/dockerd.pid")" 2>/dev/null
}

start() {
    [ "$(id -u)" = 0 ] || fail "only root can start the engine: sudo $0 start"
    command -v dockerd >/dev/null || fail "dockerd is not installed: apt-get install docker.io iptables mmdebstrap"
    mkdir -p "$folder" "$run"
    if ! alive; then
        # two engines in one network would share the bridge docker0, and the second one would take it from the first
        local apart=()
        [ -z "${DREAMER_ENGINE_RUN:-}" ] || apart=(unshare --net)
        # in its own session, so that Ctrl-C in the tests does not stop it
        # shellcheck disable=SC2086 # the options are separate words
        "${apart[@]}" setsid dockerd --host "$own" --data-root "$folder/data" --exec-root "$run/exec" \
            --pidfile "$run/dockerd.pid" ${DREAMER_ENGINE_OPTIONS:-} >"$folder/dockerd.log" 2>&1 </dev/null &
    fi
    for _ in $(seq 100); do
        if docker --host "$own" info >/dev/null 2>&1; then
            echo "$own"
            return
        fi
        sleep 0.2
    done
    tail -n 5 "$folder/dockerd.log" >&2
    fail "dockerd does not answer; its log is $folder/dockerd.log"
}

stop() {
    alive || return 0
    local pid
    pid=$(cat "$run/dockerd.pid")
    kill "$pid"
    for _ in $(seq 150); do
        kill -0 "$pid" 2>/dev/null || return 0
        sleep 0.2
    done
    fail "dockerd ($pid) does not stop"
}

# Makes an image like debian:SUITE-slim, of this processor or another one, from the mirror that this machine uses.
base() {
    local suite=$1 other=${2:-} image=dreamer-base:$1${2:+-$2} mirror made
    if docker image inspect "$image" >/dev/null 2>&1; then
        echo "$image"
        return
    fi
    # shellcheck disable=SC2016 # apt's own $(SITE)
    mirror=$(apt-get indextargets --format '$(SITE)' 'Created-By: Packages' | grep -m1 '/debian$') ||
        fail "apt on this machine has no Debian mirror"
    made=$(mktemp -d)
    # shellcheck disable=SC2064 # this folder
    trap "rm -r '$made'" EXIT
    mmdebstrap --quiet ${other:+--arch="$other"} --variant=minbase --dpkgopt=force-unsafe-io \
        --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-include=/usr/share/doc/*/copyright' \
        --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
        "$suite" "$made/base.tar" "deb $mirror $suite main" "deb $mirror $suite-updates main" \
        "deb ${mirror%/debian}/debian-security $suite-security main"
    if [ -z "$other" ]; then
        docker import --change 'CMD ["bash"]' "$made/base.tar" "$image" >/dev/null
    else # older engines import an image for their own processor only
        printf 'FROM scratch\nADD base.tar /\nCMD ["bash"]\n' >"$made/Dockerfile"
        DOCKER_BUILDKIT=1 docker build --quiet --platform "linux/$other" --tag "$image" "$made" >/dev/null
    fi
    echo "$image"
}

case "$*" in
'start') start ;;
'running') alive && echo "$own" ;;
'stop') stop ;;
'remove') stop && rm -rf "$folder" "$run" ;;
'base trixie' | 'base bookworm' | 'base trixie arm64' | 'base bookworm arm64') base "$2" "${3:-}" ;;
*)
    sed -n '2,/^set/s/^# \{0,1\}//p' "$0" >&2
    exit 2
    ;;
esac
