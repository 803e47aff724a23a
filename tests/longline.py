#!/usr/bin/python3
"""One end of a long line between two networks (see farline.py): what leaves this network arrives at the other end some
time later. Packets go whole; the rate is limited by the network itself, which sends no faster.

    longline.py DESCRIPTOR DELAY ADDRESS/BITS

DESCRIPTOR is of a socket to the other end, DELAY in seconds. Prints "up", and ends with the other end."""

import collections
import contextlib
import fcntl
import os
import select
import socket
import struct
import subprocess
import sys
import time

NAME, LARGEST = "line", 1 << 16
TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 1, 0x1000


def main(descriptor: str, delay: str, address: str) -> None:
    """Make the network interface, and carry its packets."""
    device = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(device, TUNSETIFF, struct.pack("16sH22s", NAME.encode(), IFF_TUN | IFF_NO_PI, b""))
    subprocess.run(["ip", "address", "add", address, "dev", NAME], check=True)
    subprocess.run(["ip", "link", "set", NAME, "mtu", "9000", "up"], check=True)
    print("up", flush=True)
    other = socket.socket(fileno=int(descriptor))
    both: list[int | socket.socket] = [device, other]
    waiting: collections.deque[tuple[float, bytes]] = collections.deque()
    while True:
        pause = max(0, waiting[0][0] - time.monotonic()) if waiting else None
        ready, _, _ = select.select(both, [], [], pause)
        if device in ready:
            waiting.append((time.monotonic() + float(delay), os.read(device, LARGEST)))
        if other in ready:
            if not (packet := other.recv(LARGEST)):
                return
            os.write(device, packet)
        while waiting and waiting[0][0] <= time.monotonic():
            packet = waiting.popleft()[1]
            with contextlib.suppress(BlockingIOError):  # it is full, and loses packets; else both ends might wait
                other.send(packet, socket.MSG_DONTWAIT)


if __name__ == "__main__":
    main(*sys.argv[1:])
