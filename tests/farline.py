"""Two networks on this machine, and a long line between them: it is slow, it takes time, and it can be cut."""

import contextlib
import os
import signal
import socket
import subprocess
from collections.abc import Sequence

import pytest

from helpers import PYTHON, ROOT, start, wait_for


class Network:
    """A network of its own, with the address `own`. It ends with the stack."""

    def __init__(self, own: str, stack: contextlib.ExitStack) -> None:
        self.own = own
        hold = ["unshare", "--net", "sh", "-c", "ip link set lo up && echo up && exec cat"]  # to the end of its input
        if os.geteuid() != 0 or not os.path.exists("/dev/net/tun"):
            pytest.skip("needs root and /dev/net/tun, for networks of the test's own")
        self._holder = start(hold, stdin=subprocess.PIPE)
        stack.callback(self._end)
        wait_for(self._holder, "up")

    def words(self, *command: str) -> list[str]:
        """The words of a command that runs in this network."""
        return ["nsenter", f"--net=/proc/{self._holder.pid}/ns/net", "--", *command]

    def _end(self) -> None:
        self._holder.communicate()


class Line:
    """A line between two networks. `rate` in the words of tc, `delay` in seconds each way."""

    def __init__(self, networks: Sequence[Network], rate: str, delay: float, stack: contextlib.ExitStack) -> None:
        self._ends: list[subprocess.Popen[str]] = []
        pair = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        for network, end in zip(networks, pair, strict=True):
            words = [PYTHON, str(ROOT / "tests/longline.py"), str(end.fileno()), str(delay), f"{network.own}/24"]
            process = start(network.words(*words), pass_fds=[end.fileno()])
            end.close()
            self._ends.append(process)
            stack.callback(process.communicate)
            stack.callback(process.kill)
            wait_for(process, "up")
            subprocess.run(network.words("tc", "qdisc", "add", "dev", "line", "root", "tbf", "rate", rate, "burst",
                                         "128kb", "latency", "200ms"), check=True)

    def cut(self) -> None:
        """From now on, nothing arrives."""
        for process in self._ends:
            process.send_signal(signal.SIGSTOP)

    def mend(self) -> None:
        """Carry packets again."""
        for process in self._ends:
            process.send_signal(signal.SIGCONT)
