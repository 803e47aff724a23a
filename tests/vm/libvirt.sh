#!/bin/bash
# A libvirt of the tests' own, for machines where none runs; one that runs is left alone. Its files lie in a folder of
# its own, and it and its machines see a network of their own that leads nowhere.
#
#   $ tests/vm/libvirt.sh start                  # with --online: in this machine's network
#   $ tests/vm/libvirt.sh run vagrant up …       # a command that sees this libvirt
#   $ tests/vm/libvirt.sh running                # says where, or fails
#   $ tests/vm/libvirt.sh stop                   # by process number, with all its machines; their disks stay
#   $ tests/vm/libvirt.sh remove                 # stops it and removes all it stored
#
# Needs root and the packages of Debian libvirt-daemon-system, dnsmasq-base and iptables. DREAMER_LIBVIRT names its
# folder.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
folder=${DREAMER_LIBVIRT:-/var/lib/dreamer-libvirt}
# what libvirtd has compiled in
places=(/etc/libvirt /run/libvirt /var/cache/libvirt /var/lib/libvirt /var/log/libvirt)

fail() {
    echo "libvirt.sh: $*" >&2
    exit 1
}

alive() {
    [ -s "$folder/pid" ] && kill -0 "$(cat "$folder/pid")" 2>/dev/null
}

# run COMMAND…: among libvirtd's own processes, files and network
run() {
    alive || fail "not running: $0 start"
    exec nsenter --target "$(cat "$folder/pid")" --mount --net --pid --wd="$PWD" -- \
        env LIBVIRT_DEFAULT_URI=qemu:///system "$@"
}

start() {
    local apart=(--mount --pid --fork --kill-child --mount-proc)
    [ "$(id -u)" = 0 ] || fail "root starts libvirt: sudo $0 start"
    command -v libvirtd >/dev/null || fail "no libvirtd here: apt-get install libvirt-daemon-system dnsmasq-base iptables"
    alive && return
    mkdir -p "$folder"
    [ "${1:-}" = --online ] || apart+=(--net)
    setsid unshare "${apart[@]}" "$here/libvirt.sh" --inside >"$folder/log" 2>&1 </dev/null &
    for _ in $(seq 100); do
        # the first process in there, by the number that it has out here
        pgrep -P $! >"$folder/pid" || true
        if alive && (run virsh version) >/dev/null 2>&1; then return; fi
        kill -0 $! 2>/dev/null || break
        sleep 0.2
    done
    tail -n 5 "$folder/log" >&2
    fail "libvirtd does not answer; its log is $folder/log"
}

# The first process of the new namespaces: when it ends, all others in there do
inside() {
    local place
    ip link set lo up
    mount -t sysfs sysfs /sys 2>/dev/null || true # that of the network seen here; there already with --online
    for place in "${places[@]}"; do
        mkdir -p "$place" "$folder$place"
        mount --bind "$folder$place" "$place"
    done
    rm -f /run/libvirt/*.pid
    # no user of its own, no AppArmor, no control groups: there may be none
    cat >/etc/libvirt/qemu.conf <<'CONF'
user = "root"
group = "root"
dynamic_ownership = 0
remember_owner = 0
security_driver = "none"
cgroup_controllers = []
namespaces = []
stdio_handler = "file"
CONF
    printf 'auth_unix_ro = "none"\nauth_unix_rw = "none"\n' >/etc/libvirt/libvirtd.conf
    trap 'exit' TERM
    libvirtd --pid-file /run/libvirt/libvirtd.pid &
    wait # and, being the first here, for whatever its parent left behind
}

stop() {
    alive || return 0
    local pid
    pid=$(cat "$folder/pid")
    kill "$pid"
    for _ in $(seq 100); do
        kill -0 "$pid" 2>/dev/null || return 0
        sleep 0.2
    done
    fail "libvirtd ($pid) does not stop"
}

case "${1:-} $#" in
'start 1' | 'start 2') start "${2:-}" ;;
'run '*) shift && run "$@" ;;
'running 1') alive && echo "$folder" ;;
'stop 1') stop ;;
'remove 1') stop && rm -rf "$folder" ;;
'--inside 1') inside ;;
*)
    sed -n '2,/^set/s/^# \{0,1\}//p' "$0" >&2
    exit 2
    ;;
esac
