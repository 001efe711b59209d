"""Tests of the process that forks a child for every request, with real ones."""

from __future__ import annotations

import json
import os
import resource
import select
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from pytest_memguard.forking import fork_server
from pytest_memguard.forking.fork_server import ForkServer
from pytest_memguard.forking.isolation import ChildResult, can_fork, run_in_fork

pytestmark = pytest.mark.skipif(not can_fork(), reason="this platform has no fork")

LONG = 60.0  # seconds a child may take that ends by itself
GONE = ChildResult(problem="the process that was forked for it has gone")
STUCK = ChildResult(problem="the process that was forked for it is stuck")


@contextmanager
def serving(function) -> Iterator[ForkServer]:
    """A server for this function, closed in the end."""
    server = ForkServer(function)
    try:
        yield server
    finally:
        server.close()


def follow(request: dict[str, Any]) -> Any:
    """Do what a request says: answer, fail, die, wait or talk."""
    (what, with_what), *_ = request.items()
    if what == "echo":
        return with_what
    if what == "many":
        return "x" * with_what
    if what == "pids":
        return [os.getpid(), os.getppid(), os.getpgrp()]
    if what == "raise":
        raise KeyError(with_what)
    if what == "signal":
        os.kill(os.getpid(), with_what)
    if what == "exit":
        os._exit(with_what)
    if what == "print":
        sys.stdout.write(with_what)
        sys.stdout.flush()
        os.write(1, with_what.encode())
        os.write(2, with_what.encode())
        return os.system(f"echo {with_what}")  # noqa: S605
    time.sleep(with_what)
    return None


@pytest.fixture
def server() -> Iterator[ForkServer]:
    """A server that does what requests say."""
    with serving(follow) as server:
        yield server


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        pytest.param({"echo": None}, ChildResult(), id="nothing"),
        pytest.param(
            {"echo": {"a": [1, 2.5, "\n\u00fc\U0001f600"]}},
            ChildResult(value={"a": [1, 2.5, "\n\u00fc\U0001f600"]}),
            id="values",
        ),
        pytest.param(
            {"echo": "y" * 500_000}, ChildResult(value="y" * 500_000), id="large-request"
        ),
        pytest.param(
            {"many": 3_000_000}, ChildResult(value="x" * 3_000_000), id="large-answer"
        ),
        pytest.param({"raise": "rows"}, ChildResult(problem="KeyError: 'rows'"), id="raises"),
        pytest.param(
            {"signal": 9}, ChildResult(problem="the child died (signal 9)"), id="sigkill"
        ),
        pytest.param(
            {"signal": 15}, ChildResult(problem="the child died (signal 15)"), id="sigterm"
        ),
        pytest.param(
            {"exit": 3}, ChildResult(problem="the child died (exit status 3)"), id="exits"
        ),
    ],
)
def test_answer(server, request_, expected) -> None:
    """The answer is what the function returned or how its process ended; so is the next."""
    assert expected == server.ask(request_, LONG)
    assert ChildResult(value=1) == server.ask({"echo": 1}, LONG)


@pytest.mark.parametrize("parts", [2, 1], ids=["waiting", "writing"])
def test_a_child_of_ours_that_dies_while_it_asks(server, monkeypatch, parts) -> None:
    """The request of a child that dies, or a part of it, does not mix with the next answer."""
    write = fork_server.write_message

    def die(*_: object) -> None:
        os._exit(1)

    def write_a_part(descriptor: int, data: object, **_: bytes) -> None:
        os.write(descriptor, json.dumps(data).encode()[:20])
        die()

    monkeypatch.setattr(fork_server, "write_message", write_a_part if parts == 1 else write)
    monkeypatch.setattr(fork_server, "read_message", die)
    child = os.fork()
    if not child:
        server.ask({"echo": "theirs"}, LONG)
    os.waitpid(child, 0)
    monkeypatch.undo()
    assert ChildResult(value="ours") == server.ask({"echo": "ours"}, LONG)


def test_too_long(server) -> None:
    """A child that runs too long is stopped by the server, which goes on."""
    start = time.monotonic()
    problem = "it was stopped after 0.3 seconds"
    assert ChildResult(problem=problem) == server.ask({"sleep": LONG}, 0.3)
    assert time.monotonic() - start < LONG / 2
    assert ChildResult(value=1) == server.ask({"echo": 1}, LONG)


def test_processes(server) -> None:
    """Every request runs in a process of its own, forked by one server process."""
    first, second = (server.ask({"pids": 0}, LONG).value for _ in range(2))
    assert first[1] == second[1]
    assert len({os.getpid(), first[0], second[0], first[1]}) == 4
    assert (first[0], second[0]) == (first[2], second[2])


def test_nothing_is_shared() -> None:
    """The server has the state from when it began, and nothing later."""
    values = [1]

    def grow(more: int) -> list[int]:
        values.append(more)
        return values

    with serving(grow) as growing:
        values.append(2)
        assert growing.ask(3, LONG).value == [1, 3]
        assert growing.ask(4, LONG).value == [1, 4]
    assert values == [1, 2]


def test_output(server, capfd) -> None:
    """Output of the function, in any way, is shown nowhere and breaks no answer."""
    sys.stdout.write("before\n")
    assert ChildResult(value=0) == server.ask({"print": "child text"}, LONG)
    assert ChildResult(value=1) == server.ask({"echo": 1}, LONG)
    assert capfd.readouterr() == ("before\n", "")


def test_a_server_that_has_gone(server) -> None:
    """A server that was killed is reported as gone, every time, and closing it is no error."""
    os.kill(server.ask({"pids": 0}, LONG).value[1], signal.SIGKILL)
    assert [server.ask({"echo": 1}, LONG) for _ in range(2)] == [GONE, GONE]
    server.close()


def test_a_server_that_is_stuck(server, monkeypatch) -> None:
    """An answer that comes too late is not taken for that of the next request."""
    monkeypatch.setattr(fork_server, "_GRACE", 0.1)
    monkeypatch.setattr(fork_server, "_PATIENCE", 0.1)
    pid = server.ask({"pids": 0}, LONG).value[1]
    os.kill(pid, signal.SIGSTOP)
    assert server.ask({"echo": "late"}, 0.1) == STUCK
    assert server.ask({"echo": "next"}, LONG) == GONE
    with pytest.raises(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)


def test_closed(server) -> None:
    """A closed server leaves no process and no descriptor behind, and opens none later."""
    pid = server.ask({"pids": 0}, LONG).value[1]
    server.close()
    with pytest.raises(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)
    # these take the numbers that the server's pipes had
    reader, writer = os.pipe()
    try:
        server.close()
        assert server.ask({"echo": 1}, LONG) == GONE
        assert select.select([reader], [], [], 0)[0] == []
        os.write(writer, b"ours")
        assert os.read(reader, 10) == b"ours"
    finally:
        os.close(reader)
        os.close(writer)


def test_no_descriptor_is_left() -> None:
    """A server takes two descriptors, and gives them back when it is closed."""

    def next_descriptor() -> int:
        descriptor = os.dup(0)
        os.close(descriptor)
        return descriptor

    before = next_descriptor()
    for _ in range(3):
        with serving(follow) as server:
            server.ask({"echo": 1}, LONG)
    assert before == next_descriptor()


def test_interrupted() -> None:
    """After an interrupt during a child's work, neither the child nor the server is left."""
    reader, writer = os.pipe()
    parent = os.getpid()

    def interrupt_and_wait(_: object) -> None:
        os.kill(parent, signal.SIGUSR1)
        time.sleep(LONG)

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGUSR1, interrupted)
    try:
        with serving(interrupt_and_wait) as server:
            os.close(writer)  # it and its child have the other end open while they live
            with pytest.raises(KeyboardInterrupt):
                server.ask(1, LONG)
            assert select.select([reader], [], [], LONG / 4)[0]
            assert os.read(reader, 1) == b""
    finally:
        signal.signal(signal.SIGUSR1, before)
        os.close(reader)


@contextmanager
def many_open_files() -> Iterator[None]:
    """More open files than select() can address, until the end of the block."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 1200:
        pytest.skip("this machine does not let us open so many files")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 1200), hard))
    opened = []
    try:
        while not opened or opened[-1] < 1030:
            opened.append(os.open(os.devnull, os.O_RDONLY))
        yield
    finally:
        for descriptor in opened:
            os.close(descriptor)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_many_open_files() -> None:
    """More than a thousand open files are no obstacle, to a child or to a server."""
    with many_open_files():
        assert ChildResult(value=7) == run_in_fork(lambda: 7, LONG)
        with serving(follow) as server:
            assert ChildResult(value=1) == server.ask({"echo": 1}, LONG)
