#!/bin/bash
# A libvirt for the tests only, for machines where none runs; another libvirt is not touched. It has its own folder for
# files, and its own network for itself and its machines, without access to other networks.
#
#   $ tests/vm/libvirt.sh start                  # starts it; with --online, in this machine's network
#   $ tests/vm/libvirt.sh run vagrant up …       # runs a command that uses this libvirt
#   $ tests/vm/libvirt.sh running                # prints its folder, or fails
#   $ tests/vm/libvirt.sh stop                   # stops it and all its machines; their disks stay
#   $ tests/vm/libvirt.sh remove                 # stops it and deletes its files
#
# Needs root and Debian's packages libvirt-daemon-system, dnsmasq-base and iptables. DREAMER_LIBVIRT is its folder.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
folder=${DREAMER_LIBVIRT:-/var/lib/dreamer-libvirt}
# the paths that are compiled into libvirtd
places=(/etc/libvirt /run/libvirt /var/cache/libvirt /var/lib/libvirt /var/log/libvirt)

fail() {
    echo "libvirt.sh: $*" >&2
    exit 1
}

alive() {
    [ -s "$folder/pid" ] && kill -0 "$(cat "$folder/pid")" 2>/dev/null
}

# run COMMAND…: runs it in libvirtd's namespaces for processes, files and network
run() {
    alive || fail "not running: $0 start"
    exec nsenter --target "$(cat "$folder/pid")" --mount --net --pid --wd="$PWD" -- \
        env LIBVIRT_DEFAULT_URI=qemu:///system "$@"
}

start() {
    local apart=(--mount --pid --fork --kill-child --mount-proc)
    [ "$(id -u)" = 0 ] || fail "only root can start libvirt: sudo $0 start"
    command -v libvirtd >/dev/null || fail "no libvirtd: apt-get install libvirt-daemon-system dnsmasq-base iptables"
    alive && return
    mkdir -p "$folder"
    [ "${1:-}" = --online ] || apart+=(--net)
    setsid unshare "${apart[@]}" "$here/libvirt.sh" --inside >"$folder/log" 2>&1 </dev/null &
    for _ in $(seq 100); do
        # the first process of the new namespaces, by its number outside them
        pgrep -P $! >"$folder/pid" || true
        if alive && (run virsh version) >/dev/null 2>&1; then return; fi
        kill -0 $! 2>/dev/null || break
        sleep 0.2
    done
    tail -n 5 "$folder/log" >&2
    fail "libvirtd does not answer; its log is $folder/log"
}

# The first process of the new namespaces; all others end with it
inside() {
    local place
    ip link set lo up
    mount -t sysfs sysfs /sys 2>/dev/null || true # for the new network; with --online it is mounted already
    for place in "${places[@]}"; do
        mkdir -p "$place" "$folder$place"
        mount --bind "$folder$place" "$place"
    done
    rm -f /run/libvirt/*.pid
    # without its own user, AppArmor and control groups, which this machine may lack
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
    wait # as the first process, this also waits for orphans
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
