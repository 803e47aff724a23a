"""The servant: whatever happens to the child, the next question gets an answer."""

import gc
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import pytest

from dreamer.errors import Failure, Mistake
from dreamer.machine.servant import Servant
from dreamer.machine.worker import Died
from helpers import bears_signals, children, dies_with_its_parent, ends, is_running


class Counter:
    """Counts its questions, and does what they ask."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, question: Any) -> Any:
        """(number of the question, number of the process, the answer)."""
        self.count += 1
        act = WORDS.get(question) if isinstance(question, str) else None
        return self.count, os.getpid(), act() if act else question


def mistaken() -> NoReturn:
    raise Mistake("your fault", "twice")


def failed() -> NoReturn:
    raise Failure("nobody's fault")


WORDS: dict[str, Callable[[], Any]] = {
    "mistake": mistaken, "failure": failed, "abort": os.abort, "exit": lambda: os._exit(3), "bug": lambda: [][0],
    "hang": lambda: time.sleep(60), "secret": lambda: threading.Lock(), "much": lambda: bytearray(1 << 30)}


@pytest.fixture
def servant() -> Any:
    made = Servant(Counter())
    yield made
    made.close()


def test_one_child_answers_all_questions_and_keeps_its_state(servant: Servant) -> None:
    first, second = servant.ask("a", 60), servant.ask(None, 60)
    assert (first[0], first[2]) == (1, "a")
    assert (second[0], second[2]) == (2, None)
    assert first[1] == second[1] != os.getpid()


def test_errors_come_through_and_the_child_goes_on(servant: Servant) -> None:
    with pytest.raises(Mistake) as wrong:
        servant.ask("mistake", 60)
    assert wrong.value.args == ("your fault", "twice")
    with pytest.raises(Failure, match="nobody's fault"):
        servant.ask("failure", 60)
    assert servant.ask("a", 60)[0] == 3


@pytest.mark.parametrize(("end", "told"), [("abort", "the helper ended unexpectedly (signal SIGABRT)"),
                                           ("exit", "exit code 3"), ("bug", "IndexError"),
                                           ("secret", "cannot pickle")])
def test_after_a_crash_the_next_question_gets_a_new_child(servant: Servant, end: str, told: str,
                                                          capfd: pytest.CaptureFixture[str]) -> None:
    before = servant.ask("a", 60)[1]
    with pytest.raises(Died) as error:
        servant.ask(end, 60)
    assert told in str(error.value)
    assert "\n" not in str(error.value)
    count, after, _ = servant.ask("a", 60)
    assert count == 1
    assert after != before
    assert not is_running(before)
    assert capfd.readouterr().err == ""


def test_a_child_that_hangs_is_killed(servant: Servant) -> None:
    child = servant.ask("a", 60)[1]
    begun = time.monotonic()
    with pytest.raises(Died, match="the helper took too long to answer"):
        servant.ask("hang", 0.5)
    assert time.monotonic() - begun < 30  # it hangs for 60
    assert not is_running(child)
    assert servant.ask("a", 60)[0] == 1


def test_a_child_that_does_not_read_is_killed_too(servant: Servant) -> None:
    """A question larger than a pipe, for a child that is stopped."""
    child = servant.ask("a", 60)[1]
    os.kill(child, 19)  # SIGSTOP
    with pytest.raises(Died):
        servant.ask(bytes(1 << 20), 0.5)
    assert not is_running(child)
    assert servant.ask("a", 60)[0] == 1


def test_a_child_that_died_between_two_questions_is_replaced(servant: Servant) -> None:
    child = servant.ask("a", 60)[1]
    os.kill(child, 9)
    assert ends(child)
    time.sleep(0.3)
    assert servant.ask("a", 60)[0] == 1


def test_memory_is_limited() -> None:
    servant = Servant(Counter(), memory=1 << 30)
    assert servant.ask("a", 60)[0] == 1
    with pytest.raises(Died, match="not enough memory"):
        servant.ask("much", 60)
    assert servant.ask("a", 60)[0] == 1
    servant.close()


def test_a_child_that_nobody_asks_ends() -> None:
    servant = Servant(Counter(), idle=0.3)
    child = servant.ask("a", 60)[1]
    assert ends(child, 30)
    assert servant.ask("b", 60)[0] == 1
    servant.close()


def test_many_short_lives() -> None:
    """A question may come at the moment at which the child ends."""
    servant = Servant(Counter(), idle=0.0)
    for number in range(4):
        assert servant.ask(number, 60)[2] == number
        time.sleep(0.05 * number)
    servant.close()


def test_two_threads_take_turns(servant: Servant) -> None:
    found: list[Any] = []
    threads = [threading.Thread(target=lambda: found.extend(servant.ask("a", 60) for _ in range(50)))
               for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(count for count, _, _ in found) == list(range(1, 101))
    assert len({child for _, child, _ in found}) == 1


def test_close_ends_a_question_of_another_thread(servant: Servant) -> None:
    child, found = servant.ask("a", 60)[1], list[Exception]()

    def wait() -> None:
        try:
            servant.ask("hang", 60)
        except Died as error:
            found.append(error)
    other = threading.Thread(target=wait)
    other.start()
    time.sleep(0.2)
    servant.close()
    other.join(60)
    assert [str(error) for error in found] == ["the helper was stopped"]
    assert not is_running(child)
    with pytest.raises(Died, match="stopped"):  # and no new child is started
        servant.ask("a", 60)
    assert not [child for child in children(os.getpid()) if is_running(child)]


def test_signals_do_not_prolong_the_wait() -> None:
    bears_signals("""
import test_servant
servant = test_servant.Servant(test_servant.Counter())
for _ in range(10):
    servant.ask("a", 60)
    try:
        servant.ask("hang", 0.1)
        raise AssertionError
    except test_servant.Died as error:
        assert "took too long" in str(error)
servant.close()
""")


def test_large_questions_and_answers(servant: Servant) -> None:
    large = os.urandom(10 << 20)
    assert servant.ask(large, 60)[2] == large
    assert servant.ask(large, 60)[0] == 2


def test_an_answer_that_no_other_interpreter_finds_is_told() -> None:
    with pytest.raises(Mistake, match="top level of a module"):
        Servant(lambda question: question).ask("a", 60)


def test_a_child_does_not_outlive_its_parent(tmp_path: Path) -> None:
    """Even if the parent is killed, also while the child works."""
    dies_with_its_parent(f"""
import test_servant
servant = test_servant.Servant(test_servant.Counter())
open({str(tmp_path / "pid")!r}, "w").write(str(servant.ask("a", 60)[1]))
servant.ask("hang", 60)
""", tmp_path / "pid")


def test_nothing_is_left_open() -> None:
    first = Servant(Counter())
    first.ask("a", 60)
    first.close()
    del first
    gc.collect()  # errors and their tracebacks refer to each other
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(2):
        servant = Servant(Counter())
        servant.ask("a", 60)
        with pytest.raises(Died):
            servant.ask("exit", 60)
        servant.ask("a", 60)
        servant.close()
        del servant
    gc.collect()
    assert len(os.listdir("/proc/self/fd")) <= before
