"""Tests of running a function in a real forked child."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from pytest_memguard.forking.isolation import ChildResult, can_fork, run_in_fork

pytestmark = pytest.mark.skipif(not can_fork(), reason="this platform has no fork")

LONG = 60.0  # seconds a child may take that ends by itself


def raising(error):
    """A function that raises this error."""

    def function() -> None:
        raise error

    return function


def ending(how, *arguments):
    """A function that ends its process in some way."""

    def function() -> None:
        how(*arguments)

    return function


def kill_self(number) -> None:
    """Send this process a signal, and wait for it."""
    os.kill(os.getpid(), number)
    time.sleep(LONG)


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(None, id="none"),
        pytest.param(0, id="number"),
        pytest.param("", id="empty-text"),
        pytest.param("a\nb\u00fc\U0001f600\n", id="text"),
        pytest.param([1, 2.5, True], id="list"),
        pytest.param({"a": {"b": [None]}}, id="dict"),
        pytest.param("x" * 1_000_000, id="more-than-a-pipe-holds"),
    ],
)
def test_value(value) -> None:
    """The result of the function comes back, by way of JSON."""
    assert ChildResult(value=value) == run_in_fork(lambda: value, LONG)


def test_runs_in_a_child_of_its_own() -> None:
    """The function runs in a child of this process, which leads a group of its own."""
    child, parent, group = run_in_fork(
        lambda: [os.getpid(), os.getppid(), os.getpgrp()], LONG
    ).value
    assert os.getpid() == parent
    assert child not in {os.getpid(), os.getpgrp()}
    assert child == group


def test_changes_stay_in_the_child() -> None:
    """The function's changes of memory stay in the child."""
    values = [1]
    assert run_in_fork(lambda: [*values, values.append(2) or 2], LONG).value == [1, 2]
    assert values == [1]


@pytest.mark.parametrize(
    ("error", "problem"),
    [
        pytest.param(KeyError("rows"), "KeyError: 'rows'", id="error"),
        pytest.param(ValueError("two\nlines"), "ValueError: two\nlines", id="two-lines"),
        pytest.param(SystemExit(3), "SystemExit: 3", id="exit"),
        pytest.param(KeyboardInterrupt(), "KeyboardInterrupt: ", id="interrupt"),
    ],
)
def test_exception(error, problem) -> None:
    """Any error that the function raises is reported by name and text."""
    assert ChildResult(problem=problem) == run_in_fork(raising(error), LONG)


@pytest.mark.parametrize(
    ("function", "problem"),
    [
        pytest.param(ending(os._exit, 3), "the child died (exit status 3)", id="exit"),
        pytest.param(ending(os._exit, 0), "the child died (exit status 0)", id="exit-zero"),
        pytest.param(
            ending(kill_self, signal.SIGTERM), "the child died (signal 15)", id="sigterm"
        ),
        pytest.param(
            ending(kill_self, signal.SIGKILL), "the child died (signal 9)", id="sigkill"
        ),
        pytest.param(object, "the child died (exit status 1)", id="value-that-is-no-json"),
    ],
)
def test_child_that_dies(function, problem) -> None:
    """A child that ends without an answer is reported by how it ended."""
    assert ChildResult(problem=problem) == run_in_fork(function, LONG)


def test_timeout() -> None:
    """A child that takes too long is stopped, and the result says after what time."""
    start = time.monotonic()
    result = run_in_fork(ending(time.sleep, LONG), 0.6)
    assert ChildResult(problem="it was stopped after 0.6 seconds") == result
    assert 0.5 <= time.monotonic() - start < LONG / 2


@pytest.mark.parametrize("timeout", [LONG, 0.2], ids=["in-time", "too-late"])
def test_no_process_is_left(timeout) -> None:
    """The child is gone when the answer is there, and so are its own children."""
    reader, writer = os.pipe()

    def function() -> int:
        os.write(writer, str(os.getpid()).encode())
        if os.fork() == 0 or timeout < LONG:  # both have the pipe open while they live
            time.sleep(LONG)
        return 7

    result = run_in_fork(function, timeout)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        pid = int(pipe.read())  # all writers have closed it, or read would not return
    assert (7 if timeout == LONG else None) == result.value
    with pytest.raises(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)


def test_no_descriptor_is_left() -> None:
    """The parent closes its end of the pipe to the child."""

    def next_descriptor() -> int:
        descriptor = os.open(os.devnull, os.O_RDONLY)
        os.close(descriptor)
        return descriptor

    before = next_descriptor()
    run_in_fork(int, LONG)
    run_in_fork(raising(KeyError()), LONG)
    assert before == next_descriptor()


def talk() -> bool:
    """Write to every output there is, in every way there is."""
    for stream in (sys.stdout, sys.stderr):
        stream.write("child text\n")
        stream.flush()
    return talk_below_python()


def talk_below_python() -> bool:
    """Write to the descriptors, as C code and other processes do."""
    os.write(1, b"child descriptor 1\n")
    os.write(2, b"child descriptor 2\n")
    os.system("echo child of the child; echo child of the child >&2")  # noqa: S605, S607
    return True


@pytest.mark.parametrize("capture", ["capsys", "capfd"])
def test_output_of_the_child(request, capture) -> None:
    """Output of the child is not captured by the parent; output of the parent still is."""
    captured = request.getfixturevalue(capture)
    sys.stdout.write("before\n")
    assert ChildResult(value=True) == run_in_fork(talk, LONG)
    sys.stdout.write("after\n")
    assert captured.readouterr() == ("before\nafter\n", "")


@pytest.mark.usefixtures("capfd")
def test_output_of_the_child_into_a_file(tmp_path) -> None:
    """Where output goes to a file, the child writes nothing there and keeps its position."""
    path = tmp_path / "output.txt"
    saved = os.dup(1)
    with path.open("w+b", buffering=0) as file:
        os.dup2(file.fileno(), 1)
        try:
            os.write(1, b"before\n")
            result = run_in_fork(talk_below_python, LONG)
            os.write(1, b"after\n")
        finally:
            os.dup2(saved, 1)
            os.close(saved)
    assert ChildResult(value=True) == result
    assert path.read_bytes() == b"before\nafter\n"


CLEANING_UP = """
import atexit, sys
from pytest_memguard.forking.isolation import run_in_fork

atexit.register(print, "cleaned up")
sys.stdout.write("buffered, ")
print(run_in_fork(lambda: 7, 60).value)
"""


def test_cleaning_up_is_left_to_us() -> None:
    """Functions registered to run at exit, and buffered output, run once: in the parent."""
    done = subprocess.run(
        [sys.executable, "-c", CLEANING_UP], capture_output=True, text=True, check=False
    )
    assert (
        done.returncode,
        done.stdout,
        done.stderr,
    ) == (0, "buffered, 7\ncleaned up\n", "")
