"""Tests of the process that forks children which send messages, with real ones."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from pytest_memguard.forking.child_channel import Channel
from pytest_memguard.forking.child_server import Child, ChildServer, Ended, ServerLost
from pytest_memguard.forking.isolation import can_fork

pytestmark = pytest.mark.skipif(not can_fork(), reason="this platform has no fork")

LONG = 60.0


@contextmanager
def serving(run) -> Iterator[ChildServer]:
    """A server whose children do this, closed in the end."""
    server, children = ChildServer(run), []
    start = server.start

    def start_and_note() -> Child:
        children.append(start())
        return children[-1]

    server.start = start_and_note
    try:
        yield server
    finally:
        server.close()
        for child in children:
            child.channel.close()


def echo(channel: Channel) -> None:
    """Send back what comes, until there is no more."""
    while message := channel.receive():
        channel.send(message)


def follow(channel: Channel) -> None:
    """Do what the first message says."""
    what, argument = channel.receive() or ("", None)
    if what == "exit":
        channel.send(("going",))
        os._exit(argument)
    if what == "signal":
        os.kill(os.getpid(), argument)
    if what == "close":
        os.closerange(3, 1024)
        os._exit(7)
    if what == "sleep":
        channel.send(("asleep",))
        time.sleep(LONG)
    if what == "leave":
        pid = os.fork()
        if pid == 0:
            time.sleep(LONG)
        channel.send(("left", pid))
    if what == "grow":
        block = bytearray(b"x") * argument
        channel.send(("grown", len(block)))


def exit_code(ended) -> int:
    """The exit code of a child; a signal as a negative number."""
    assert isinstance(ended, Ended)
    return os.waitstatus_to_exitcode(ended.status)


def test_messages_go_both_ways() -> None:
    """A child gets every message whole, however long, and answers in order."""
    messages = [("one", 1), ("long", "x" * 500_000), ("nested", [1.5, None, {"a": (True,)}])]
    with serving(echo) as server:
        child = server.start()
        answers = []
        for message in messages:
            child.send(message)
            answers.append(child.receive(LONG))
        child.channel.finish()
        assert answers == messages
        assert exit_code(child.receive(LONG)) == 0


def test_children_do_not_know_each_other() -> None:
    """Each child begins with what the server had: nothing that another one has done."""
    known: list[int] = []

    def count(channel: Channel) -> None:
        known.append(1)
        channel.send(("known", len(known)))

    with serving(count) as server:
        answers = []
        for _ in range(3):
            child = server.start()
            answers.append(child.receive(LONG))
            child.close()
        assert answers == [("known", 1)] * 3


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        pytest.param(("exit", 3), 3, id="exit"),
        pytest.param(("signal", int(signal.SIGTERM)), -signal.SIGTERM, id="signal"),
        pytest.param(("signal", int(signal.SIGKILL)), -signal.SIGKILL, id="kill"),
        pytest.param(("close", 0), 7, id="closes-everything"),
    ],
)
def test_how_a_child_ends(order, expected) -> None:
    """Messages of a child come first, then how it ended; the next child works."""
    with serving(follow) as server:
        child = server.start()
        child.send(order)
        got = child.receive(LONG)
        if order[0] == "exit":
            assert got == ("going",)
            got = child.receive(LONG)
        assert exit_code(got) == expected
        child.close()
        other = server.start()
        other.send(("exit", 0))
        assert other.receive(LONG) == ("going",)


def test_waiting_has_an_end() -> None:
    """The caller waits for a silent child as long as it asked to, and can kill it."""
    with serving(follow) as server:
        child = server.start()
        child.send(("sleep", 0))
        assert child.receive(LONG) == ("asleep",)
        assert child.receive(0.01) is None
        child.kill(signal.SIGKILL)
        assert exit_code(child.receive(LONG)) == -signal.SIGKILL


def test_what_a_child_leaves_behind_ends() -> None:
    """A process that a child has started ends with the child."""
    with serving(follow) as server:
        child = server.start()
        child.send(("leave", 0))
        left = child.receive(LONG)
        assert isinstance(left, tuple)
        assert exit_code(child.receive(LONG)) == 0
        deadline = time.monotonic() + LONG
        while is_running(left[1]):
            assert time.monotonic() < deadline
            time.sleep(0.005)


def is_running(pid: int) -> bool:
    """Whether a process is there, and is no zombie."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as file:  # noqa: PTH123  short
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        if sys.platform == "linux":
            return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_the_highest_memory_is_known() -> None:
    """The kernel says what a child has used at most, after its end."""
    size = 40 << 20
    with serving(follow) as server:
        child = server.start()
        child.send(("grow", size))
        assert child.receive(LONG) == ("grown", size)
        ended = child.receive(LONG)
        assert isinstance(ended, Ended)
        assert ended.highest > size


def test_a_server_that_was_killed() -> None:
    """Where the server has gone, a child can neither be started nor waited for."""
    with serving(follow) as server:
        child = server.start()
        os.kill(server.pid, signal.SIGKILL)
        with pytest.raises(ServerLost):
            child.receive(LONG)
        with pytest.raises(ServerLost):
            server.start()


def test_closing_ends_the_child() -> None:
    """A child ends when the process that requested it has gone."""
    with serving(follow) as server:
        child = server.start()
        child.send(("sleep", 0))
        assert child.receive(LONG) == ("asleep",)
    deadline = time.monotonic() + LONG
    while is_running(child.pid):
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_what_cannot_be_sent() -> None:
    """A value that is no plain one is refused, and the connection goes on."""
    with serving(echo) as server:
        child = server.start()
        with pytest.raises(ValueError, match="unmarshallable"):
            child.channel.send(("object", object()))
        child.send(("plain",))
        assert child.receive(LONG) == ("plain",)
