"""A child process that answers questions, for work that may crash, hang or take much memory: a decoder that reads a
stranger's file, or a net that stays loaded between two questions."""

import contextlib
import os
import queue
import resource
import select
import threading
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from dreamer.errors import Failure, Mistake
from dreamer.machine import worker
from dreamer.machine.signals import Stop
from dreamer.machine.worker import Died, Worker

START = 30.0  # seconds that a new child has to load everything; it takes 0.7 on an idle machine


class Servant:
    """A child process that answers questions one at a time, and dies with this process. It starts when it is asked for
    the first time.

    answer  function of a question, called in the child. It is handed over as a pickle: a function at the top level of a
            module, or an object that keeps what one question leaves for the next
    idle    seconds without a question after which the child ends
    memory  bytes of address space that the child may take in all, once it has loaded its modules
    called  what it is, for error messages

    Every method works from any thread."""

    def __init__(self, answer: Callable[[Any], Any], idle: float = 60.0, memory: int | None = None,
                 called: str = "the helper") -> None:
        self._work, self._idle, self._called = _Work(answer, memory), idle, called
        self._turn, self._change = threading.Lock(), threading.Lock()
        self._child: _Child | None = None
        self._closed = False

    def ask(self, question: object, seconds: float) -> Any:
        """The child's answer to `question` (both picklable). Waits for its turn, then at most `seconds` for the answer,
        without the time that a new child takes to start.

        Raises Mistake or Failure if answer() did; Died if the child ended, or took longer and was killed: then the next
        question gets a new child."""
        message = worker.packed(question)
        with self._turn:
            while True:
                child = self._started()
                try:
                    reply = child.ask(message, seconds)
                except _Retired:  # just before the question came
                    continue
                if reply.error:
                    raise reply.error
                return reply.answer

    def close(self) -> None:
        """Kill the child, if there is one. A question that it has now raises Died, and so does each later one."""
        with self._change:
            child, self._child, self._closed = self._child, None, True
        if child:
            child.kill()

    def _started(self) -> "_Child":
        with self._change:
            if self._closed:  # else a question that came just too late would start a child that nobody ends
                raise Died(f"{self._called} was stopped")
            if self._child is None or not self._child.lives():
                self._child = _Child(self._work, self._idle, self._called)
            return self._child


class _Retired(BaseException):
    """The child ended because nobody asked it for a while."""


class _Killed(BaseException):
    """The child was killed on request."""


class _Reply(NamedTuple):
    """What the child made of a question; its first one only says that it has started."""

    answer: Any
    error: Exception | None


class _Work:
    """What the child does."""

    def __init__(self, answer: Callable[[Any], Any], memory: int | None) -> None:
        self._answer, self._memory = answer, memory

    def __call__(self, child: Worker) -> None:
        if self._memory is not None:
            most = resource.getrlimit(resource.RLIMIT_AS)[1]
            limit = self._memory if most == resource.RLIM_INFINITY else min(self._memory, most)
            resource.setrlimit(resource.RLIMIT_AS, (limit, most))
        child.send(_Reply(None, None))
        for question in child.questions():
            try:
                reply = _Reply(self._answer(question), None)
            except (Mistake, Failure) as error:
                reply = _Reply(None, error)
            child.send(reply)


class _Child:
    """One child, from its start to its end, with the thread that waits for it."""

    def __init__(self, work: _Work, idle: float, called: str) -> None:
        self._idle, self._called = idle, called
        self._replies = queue.Queue[_Reply | BaseException]()
        self._asked, self._kill, self._since = True, False, time.monotonic()
        inbox, self._pipe = os.pipe()
        os.set_blocking(self._pipe, False)
        self._started = self._over = False
        # a thread of its own, so that the child can be killed while it hangs, and notices its own end
        self._thread = threading.Thread(target=self._attend, args=[work, inbox], daemon=True)
        self._thread.start()

    def ask(self, message: bytes, seconds: float) -> _Reply:
        """The reply to a question, which is packed. Raises _Retired, or what ended the child."""
        self._asked = True
        try:
            if self._started and not self._replies.empty():  # it has ended since the last question
                self._over = True
                raise _Retired
            if not self._started:
                self._reply(time.monotonic() + START, "start")
                self._started = True
            until = time.monotonic() + seconds
            with contextlib.suppress(BrokenPipeError):  # _reply says why
                self._write(message, until)
            return self._reply(until, "answer")
        finally:
            self._asked, self._since = False, time.monotonic()

    def lives(self) -> bool:
        """Whether it has not ended yet, as far as is known."""
        return self._thread.is_alive() and not self._over

    def kill(self) -> None:
        """Kill the child, and wait for its end."""
        self._kill = True
        self._thread.join()

    def _attend(self, work: _Work, inbox: int) -> None:
        """In a thread: start the child, and wait for its end."""
        end: BaseException
        try:
            worker.run(work, self._replies.put, Stop(), self._look, inbox, self._called)
            end = Died(f"{self._called} ended")
        except BaseException as error:  # ask() raises it, where somebody waits for it
            end = error.with_traceback(None)  # or it would keep this object, with its pipe
        os.close(inbox)
        self._replies.put(end)

    def _look(self) -> None:
        """Called often while the child lives: say whether it must end."""
        if self._kill:
            raise _Killed
        if not self._asked and time.monotonic() > self._since + self._idle:
            raise _Retired

    def _write(self, message: bytes, until: float) -> None:
        """Write the question, as fast as the child reads it, or until it is too late."""
        rest, waiting = memoryview(message), select.poll()
        waiting.register(self._pipe, select.POLLOUT)
        while rest and (left := until - time.monotonic()) > 0 and self.lives():
            if waiting.poll(1000 * min(left, 0.5)):
                rest = rest[os.write(self._pipe, rest):]

    def _reply(self, until: float, what: str) -> _Reply:
        """The child's next message. Raises what ended it, if it has ended."""
        try:
            reply = self._replies.get(timeout=max(0.0, until - time.monotonic()))
        except queue.Empty:
            self.kill()
            raise Died(f"{self._called} took too long to {what}") from None
        if isinstance(reply, _Reply):
            return reply
        self._over = True
        raise Died(f"{self._called} was stopped") if isinstance(reply, _Killed) else reply

    def __del__(self) -> None:
        os.close(self._pipe)
