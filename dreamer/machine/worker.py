"""A child process for work that may be killed: Caffe aborts its process on an error, and the kernel kills it if
memory runs out. The parent survives, and says in one line what happened.

If the parent has no other thread, the child is a fork. Otherwise it is a new interpreter that gets the work as a
pickle, because a fork would have copies of locks that nobody releases. That takes 0.3 s, mostly for imports.
"""

import contextlib
import fcntl
import os
import pickle
import select
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple, NoReturn

from dreamer.errors import Failure, Mistake, Stopped
from dreamer.machine import limits, signals
from dreamer.machine.signals import Stop

PATIENCE = 3.5  # seconds that the work has to end after a signal asks it to
_BEGIN = "import sys; sys.path.insert(0, sys.argv[1]); from dreamer.machine.worker import begin; begin(*sys.argv[2:])"


class Died(Failure):
    """The child ended unexpectedly."""


class _Saving(NamedTuple):
    """A message: the work saves what it has, and is not to be killed for so many seconds."""

    seconds: float


class Worker:
    """The work's connection to its parent.

    parent  number of the process that waits for it; None if that has work of its own"""

    def __init__(self, pipe: int, parent: int | None, inbox: int | None) -> None:
        self._pipe, self.parent, self._inbox = pipe, parent, inbox
        self._stop = Stop()
        for number in signals.ASKING:
            signal.signal(number, lambda number, _: self._stop.ask(number))

    def asked(self) -> int | None:
        """The signal that has asked for the end, or None. Call it where the work can end easily."""
        return self._stop.asked()

    def send(self, message: object) -> None:
        """Send any picklable message to the parent."""
        data = packed(message)
        while data:
            data = data[os.write(self._pipe, data):]

    def saving(self, seconds: float) -> None:
        """Ask for so much time from now on, even if the end is asked for: there is something to save."""
        self.send(_Saving(seconds))

    def questions(self) -> Iterator[Any]:
        """Each message that the parent writes, packed, into the pipe whose end is the inbox, until it closes that."""
        assert self._inbox is not None, "the parent gave one to run()"  # noqa: S101
        with os.fdopen(self._inbox, "rb") as inbox:
            while head := inbox.read(8):
                yield pickle.loads(inbox.read(int.from_bytes(head, "little")))


def packed(message: object) -> bytes:
    """A picklable message as it goes through a pipe: its length, and then its pickle."""
    data = pickle.dumps(message)
    return len(data).to_bytes(8, "little") + data


def run(work: Callable[[Worker], None], receive: Callable[[Any], None], stop: Stop,
        idle: Callable[[], None] = lambda: None, inbox: int | None = None, called: str = "the dream") -> None:
    """Call work(worker) in a child process; call receive(message) here for each message it sends, and idle() often.

    inbox   number of an open file, the reading end of a pipe, from which the work gets its questions(); or None
    called  what the work is, for the message of Died

    Raises the work's error if that is a Mistake, Failure or Stopped, and Died for any other end except success. When
    `stop` requests a stop, the child is asked too, and killed if it does not end in time. The child is also killed
    when this process ends, and when receive() or idle() raises something, which is passed on."""
    if told := limits.lacking(limits.BEGIN):
        raise Failure(told)
    if number := stop.asked():
        raise Stopped(number)
    _flush()
    reader, writer = os.pipe()
    alive, living = os.pipe()  # the child has `alive`: the pipe ends when this process does
    with os.fdopen(os.memfd_create("stderr"), "w+b") as words, stop.heard():
        try:
            child = (_fork(work, reader, writer, alive, living, words, inbox) if forks() else
                     _exec(work, writer, alive, words, inbox))
        except BaseException as error:
            os.close(reader)
            os.close(living)
            if isinstance(error, OSError):
                raise Failure(f"cannot start a process: {error.strerror}") from None
            raise
        finally:
            os.close(writer)
            os.close(alive)
        try:
            end = _attend(child, reader, receive, idle, stop)
        except BaseException:
            os.kill(child, signal.SIGKILL)
            raise
        finally:
            os.close(reader)
            status = _status(child)
            os.close(living)
        words.seek(0)
        said = words.read().decode(errors="replace")
    if end:
        with contextlib.suppress(OSError, ValueError, AttributeError):
            sys.stderr.write(said)
        if end.error:
            raise end.error
    elif number := stop.asked():
        raise Stopped(number)
    else:
        raise Died(_cause(status, said, called))


def _flush() -> None:
    """Write the buffers of the standard streams, or a fork would write them again."""
    for stream in sys.stdout, sys.stderr:
        with contextlib.suppress(OSError, ValueError, AttributeError):
            stream.flush()


def _status(child: int) -> int:
    """Wait for the child; returns its exit code, negative for a signal. 0 if SIGCHLD is ignored, because the code is
    then unknown."""
    try:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    except ChildProcessError:
        return 0


def forks() -> bool:
    """Whether a child would be a fork, because this process has only this thread. (OpenBLAS's and Caffe's end before a
    fork, and start again later.)"""
    return threading.active_count() == 1 and threading.current_thread() is threading.main_thread()


def _fork(work: Callable[[Worker], None], reader: int, writer: int, alive: int, living: int, words: IO[bytes],
          inbox: int | None) -> int:
    parent = os.getpid()
    child = os.fork()
    if not child:
        os.close(reader)
        os.close(living)
        _child(lambda: work, writer, alive, words.fileno(), parent, inbox)
    return child


def _exec(work: Callable[[Worker], None], writer: int, alive: int, words: IO[bytes], inbox: int | None) -> int:
    """Start a new interpreter that calls begin(); returns its process number. Raises Mistake if it can't get `work`."""
    from multiprocessing import spawn  # takes 5 ms, and a process without threads does not need it
    with os.fdopen(os.memfd_create("work"), "w+b") as handed:
        try:
            # multiprocessing's way to find modules in a child, including the main script
            found = spawn.get_preparation_data("dream")
            pickle.dump({name: value for name, value in found.items() if name != "authkey"}, handed)
            pickle.dump(work, handed)
        except RuntimeError:  # this is such a child, and still loads its main script
            raise Mistake('a script that dreams from threads must do so inside: if __name__ == "__main__":') from None
        except (pickle.PicklingError, AttributeError, TypeError) as error:
            raise Mistake("a program with threads dreams in a new process: the functions that it passes to the dream "
                          f"must be at the top level of a module ({error})") from None
        handed.seek(0)
        pipes = writer, alive, words.fileno(), handed.fileno(), *([] if inbox is None else [inbox])
        command = [sys.executable, "-I", "-c", _BEGIN, str(Path(__file__).resolve().parents[2]), *map(str, pipes)]
        # in its own session, because Ctrl-C in a terminal is for this process, which asks the child
        with subprocess.Popen(command, pass_fds=pipes, stderr=words, start_new_session=True) as process:
            process.returncode = 0  # _status waits for it
            return process.pid


def begin(writer: str, alive: str, words: str, handed: str, inbox: str | None = None) -> NoReturn:
    """In the new interpreter: do the work that `handed` holds. All arguments are numbers of open files."""
    from multiprocessing import process, spawn

    def work() -> Callable[[Worker], None]:
        current: Any = process.current_process()
        with os.fdopen(int(handed), "rb") as file:
            current._inheriting = True  # a main script that dreams when it is loaded must not dream again
            spawn.prepare(pickle.load(file))
            del current._inheriting
            found: Callable[[Worker], None] = pickle.load(file)
        return found
    _child(work, int(writer), int(alive), int(words), None, None if inbox is None else int(inbox))


def _child(handed: Callable[[], Callable[[Worker], None]], writer: int, alive: int, words: int,
           parent: int | None, inbox: int | None) -> NoReturn:
    """Do the work and end this process."""
    code = 1
    try:
        _end_with(alive)
        os.dup2(words, 2)  # Caffe's last words
        worker = Worker(writer, parent, inbox)
        error: Mistake | Failure | Stopped | None = None
        try:
            handed()(worker)
        except (Mistake, Failure, Stopped) as caught:
            error = caught
        except MemoryError:
            error = Died("there is not enough memory")
        worker.send(_End(error))
        code = 0
    except BaseException:  # the parent reports it in one line
        os.write(2, traceback.format_exc().encode())
    finally:
        os._exit(code)


def _end_with(alive: int) -> None:
    """Have the kernel kill this process, whatever it is doing, when the other end of the pipe is closed."""
    fcntl.fcntl(alive, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(alive, fcntl.F_SETSIG, signal.SIGKILL)
    fcntl.fcntl(alive, fcntl.F_SETFL, os.O_ASYNC | os.O_NONBLOCK)
    if _readable(alive, 0):  # it was closed before we asked
        os._exit(1)


def _readable(pipe: int, seconds: float) -> bool:
    """Wait so many seconds for data in the pipe, or its end; returns whether either came. (select cannot handle files
    whose number is above 1023.)"""
    waiting = select.poll()
    waiting.register(pipe, select.POLLIN)
    return bool(waiting.poll(seconds * 1000))


class _End(NamedTuple):
    """The child's last message."""

    error: Mistake | Failure | Stopped | None


def _attend(child: int, reader: int, receive: Callable[[Any], None], idle: Callable[[], None],
            stop: Stop) -> _End | None:
    """Receive the child's messages until it ends; returns its _End, or None if it sent none."""
    data, told, saved = bytearray(), 0.0, 0.0  # `data` grows in place, also for a large message
    while True:
        if number := stop.asked():  # told again and again: a job in the background may ignore SIGINT as it begins
            os.kill(child, signal.SIGTERM if number == signal.SIGTERM else signal.SIGINT)
            told = told or time.monotonic()
        if told and time.monotonic() > max(told + PATIENCE, saved):
            os.kill(child, signal.SIGKILL)
        idle()
        if not _readable(reader, signals.LOOK):
            continue
        block = os.read(reader, 1 << 16)
        if not block:
            return None
        data += block
        while len(data) >= 8 and len(data) >= 8 + (size := int.from_bytes(data[:8], "little")):
            message = pickle.loads(data[8:8 + size])
            del data[:8 + size]
            if isinstance(message, _End):
                return message
            if isinstance(message, _Saving):
                saved = time.monotonic() + message.seconds
            else:
                receive(message)


def _cause(status: int, said: str, called: str) -> str:
    """Why a child died, for people, given its exit code (negative: a signal), its standard error and its name."""
    check = [line for line in said.splitlines() if "Check failed" in line]
    if status == -signal.SIGKILL:
        return (f"the kernel killed {called}, probably because memory ran out; close other programs, "
                "or lower --memory or --max-size")
    if check:
        return f"Caffe gave up: {check[-1].partition('] ')[2]}"
    last = (said.strip().splitlines() or ["it printed nothing"])[-1]
    what = f"signal {signal.Signals(-status).name}" if status < 0 else f"exit code {status}"
    return f"{called} ended unexpectedly ({what}): {last}"
