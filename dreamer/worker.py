"""A child process for work that may be killed: Caffe aborts the process where it meets what it did not expect,
and the kernel kills it where memory runs out. The parent survives, and says what happened in one line."""

import ctypes
import os
import pickle
import select
import signal
import sys
import time
import traceback
from collections.abc import Callable
from typing import IO, Any, NamedTuple, NoReturn

from dreamer import limits, signals
from dreamer.errors import Failure, Mistake

PATIENCE = 3.5  # seconds that the work has to come to an end when a signal asks it to
_PR_SET_PDEATHSIG = 1


class Stopped(Exception):
    """The work came to an end because a signal asked for it; exit code 128 and the signal's number, as shells count.

    saved  whether what there was of a result has been written"""

    def __init__(self, number: int, words: str = "", saved: bool = False) -> None:
        super().__init__(number, words, saved)
        self.number, self.words, self.saved = number, words, saved
        self.exit_code = 128 + number

    def __str__(self) -> str:
        return f"stopped by {signal.Signals(self.number).name}" + (f": {self.words}" if self.words else "")


class Died(Failure):
    """The child is dead, and not by its own will."""


class Worker:
    """What the work sees of its parent."""

    def __init__(self, pipe: int) -> None:
        self._pipe = pipe
        self._asked: int | None = None
        for number in signals.ASKING:
            signal.signal(number, self._ask)

    def _ask(self, number: int, _frame: object) -> None:
        self._asked = self._asked or number

    def asked(self) -> int | None:
        """The signal that has asked for the end, or None. To be called where ending is easy."""
        return self._asked

    def send(self, message: object) -> None:
        """Hand any picklable message to the parent."""
        data = pickle.dumps(message)
        os.write(self._pipe, len(data).to_bytes(8, "little"))
        while data:
            data = data[os.write(self._pipe, data):]


def run(work: Callable[[Worker], None], receive: Callable[[Any], None],
        idle: Callable[[], None] = lambda: None) -> None:
    """Call work(worker) in a child process, and here receive(message) for each message it sends, and idle() often.

    Raises what the work raised if that was Mistake, Failure or Stopped, and Died for every other end but success.
    SIGINT and SIGTERM are passed on to the child; where it does not end by itself then, it is killed."""
    if told := limits.lacking(limits.BEGIN):
        raise Failure(told)
    sys.stdout.flush()
    sys.stderr.flush()
    reader, writer = os.pipe()
    with os.fdopen(os.memfd_create("stderr"), "w+b") as words:
        parent = os.getpid()
        asked: list[tuple[int, float]] = []  # signals, and when
        before = {number: signal.signal(number, lambda number, _: asked.append((number, time.monotonic())))
                  for number in signals.ASKING}
        child = os.fork()
        if not child:
            os.close(reader)
            _child(work, writer, words, parent)
        os.close(writer)
        try:
            end = _attend(child, reader, receive, idle, asked)
        except BaseException:
            os.kill(child, signal.SIGKILL)
            raise
        finally:
            os.close(reader)
            status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            for number, handler in before.items():
                signal.signal(number, handler)
        words.seek(0)
        said = words.read().decode(errors="replace")
    if end:
        sys.stderr.write(said)
        if end.error:
            raise end.error
    elif asked:
        raise Stopped(asked[0][0])
    else:
        raise Died(_cause(status, said))


def _child(work: Callable[[Worker], None], writer: int, words: IO[bytes], parent: int) -> NoReturn:
    """Never returns."""
    code = 1
    try:
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)  # no parent, no child
        if os.getppid() == parent:
            os.dup2(words.fileno(), 2)  # Caffe's last words
            limits.waited_for = True
            worker = Worker(writer)
            error: Mistake | Failure | Stopped | None = None
            try:
                work(worker)
            except (Mistake, Failure, Stopped) as caught:
                error = caught
            except MemoryError:
                error = Died("there is not enough memory")
            worker.send(_End(error))
            code = 0
    except BaseException:  # the parent tells it as one line
        os.write(2, traceback.format_exc().encode())
    finally:
        os._exit(code)


class _End(NamedTuple):
    """The last message."""

    error: Mistake | Failure | Stopped | None


def _attend(child: int, reader: int, receive: Callable[[Any], None], idle: Callable[[], None],
            asked: list[tuple[int, float]]) -> _End | None:
    """Receive what the child sends until it ends; returns its _End, or None where it sent none."""
    data, told = b"", 0.0
    while True:
        if asked and not told:
            os.kill(child, signal.SIGTERM if asked[0][0] == signal.SIGTERM else signal.SIGINT)
            told = asked[0][1]
        if told and time.monotonic() > told + PATIENCE:
            os.kill(child, signal.SIGKILL)
        idle()
        if not select.select([reader], [], [], 0.1)[0]:
            continue
        block = os.read(reader, 1 << 16)
        if not block:
            return None
        data += block
        while len(data) >= 8 and len(data) >= 8 + (size := int.from_bytes(data[:8], "little")):
            message, data = pickle.loads(data[8:8 + size]), data[8 + size:]
            if isinstance(message, _End):
                return message
            receive(message)


def _cause(status: int, said: str) -> str:
    """Why a child died, for people: its exit code (negative: the signal), and what it said to standard error."""
    check = [line for line in said.splitlines() if "Check failed" in line]
    if status == -signal.SIGKILL:
        return ("the kernel killed the dream, most likely because memory ran out: close other programs, "
                "or give a lower --memory or --max-size")
    if check:
        return f"Caffe gave up: {check[-1].partition('] ')[2]}"
    last = (said.strip().splitlines() or ["nothing was said"])[-1]
    what = f"signal {signal.Signals(-status).name}" if status < 0 else f"exit code {status}"
    return f"the dream ended unexpectedly ({what}): {last}"
