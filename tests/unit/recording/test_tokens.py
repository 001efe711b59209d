"""Tests of tokens, with processes that really take them, wait, stop and die."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from contextlib import contextmanager

import pytest

from pytest_memguard.model.admission import SMALL, Need, Wait
from pytest_memguard.recording.token_file import TokenFile
from pytest_memguard.recording.tokens import ALONE, MEDIAN, Tokens
from pytest_memguard.sizes import MIB

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are forked here")
SIZE = 100 * MIB
PATIENCE = 20


def tokens(path, run: int = 7, level: int = 0, size: int = SIZE) -> Tokens:
    """This process's part."""
    return Tokens(TokenFile(path), run, size, lambda: level, os.getpid())


def need(mib: int) -> Need:
    """What a test is expected to need."""
    return Need(size=mib * MIB, source="the marker")


@contextmanager
def process(work):
    """Do something in a child, which has then got as far as its first ``ready`` and waits."""
    read, write = os.pipe()
    pid = os.fork()
    if not pid:
        status = 1
        try:
            work(lambda: os.write(write, b"."))
            status = 0
        finally:
            os._exit(status)
    try:
        os.read(read, 1)
        yield pid
    finally:
        with contextlib.suppress(ProcessLookupError):  # the test has waited for it
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        os.close(read)
        os.close(write)


def holder(path, mib: int, **others):
    """Work that takes memory for a test, and keeps it."""

    def work(ready) -> None:
        tokens(path, **others).ask(need(mib), 0, lambda *_: None)
        ready()
        time.sleep(PATIENCE)

    return work


def waiter(path, mib: int, out: str):
    """Work that writes to a file when it has got what it waits for."""

    def work(ready) -> None:
        mine = tokens(path)
        mine.ask(need(mib), 0, lambda *_: ready())
        with path.with_name("order").open("a", encoding="ascii") as file:
            file.write(out)
        mine.give_back()

    return work


def ended(pid: int) -> int:
    """Wait for a child."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def test_fits_beside(tmp_path) -> None:
    """Two tests that fit together do not wait; the sums are those of both."""
    path = tmp_path / "tokens"
    with process(holder(path, 40, level=10 * MIB)):
        found = tokens(path, level=5 * MIB).ask(need(45), 0, lambda *_: pytest.fail("waits"))
    assert (found.needs, found.levels) == (85 * MIB, 15 * MIB)
    assert not found.waited


def test_waits_until_it_is_given_back(tmp_path) -> None:
    """A test waits for one of another run to give back what it has."""
    path = tmp_path / "tokens"

    def work(ready) -> None:
        mine = tokens(path, run=8)
        mine.ask(need(60), 0, lambda *_: None)
        ready()
        time.sleep(0.15)
        mine.give_back()
        time.sleep(PATIENCE)

    waits: list[Wait] = []
    with process(work):
        found = tokens(path).ask(need(41), 0, waits.append)
    assert waits == [Wait(wanted=41 * MIB, taken=60 * MIB, elsewhere=60 * MIB)]
    assert found.elsewhere == 60 * MIB
    assert 0.01 < found.waited < PATIENCE


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_dead_process_gives_back_at_once(tmp_path, number) -> None:
    """The share of a killed process is free at once; a child that it left does not keep it."""
    path = tmp_path / "tokens"

    def work(ready) -> None:
        tokens(path).ask(need(90), 0, lambda *_: None)
        if not os.fork():
            time.sleep(0.5)
            os._exit(0)
        ready()
        time.sleep(PATIENCE)

    with process(work) as pid:
        os.kill(pid, number)
        assert ended(pid) == -number
        found = tokens(path).ask(need(90), 0, lambda *_: pytest.fail("waits"))
    assert found.needs == 90 * MIB


def test_first_come_first_served(tmp_path) -> None:
    """A small test that came later waits behind a large one."""
    path = tmp_path / "tokens"
    with (
        process(holder(path, 60)) as first,
        process(waiter(path, 90, "L")) as large,
        process(waiter(path, 20, "s")) as small,
    ):
        os.kill(first, signal.SIGKILL)
        assert (ended(large), ended(small)) == (0, 0)
    assert (tmp_path / "order").read_text(encoding="ascii") == "Ls"


def test_larger_than_all_runs_alone(tmp_path) -> None:
    """A test larger than everything waits for the others, and then starts."""
    path = tmp_path / "tokens"
    with process(holder(path, 1)) as first, process(waiter(path, 5_000, "x")) as huge:
        assert not (tmp_path / "order").exists()
        os.kill(first, signal.SIGKILL)
        assert ended(huge) == 0


@pytest.mark.skipif(sys.platform != "linux", reason="it counts on the time of the machine")
def test_stopped_process_keeps_no_place_in_the_queue(tmp_path, monkeypatch) -> None:
    """A process that was stopped while it waits is passed by others."""
    path = tmp_path / "tokens"
    monkeypatch.setattr("pytest_memguard.judge.admission.STALE_MILLISECONDS", 100)
    with process(holder(path, 60)), process(waiter(path, 90, "L")) as large:
        os.kill(large, signal.SIGSTOP)
        found = tokens(path).ask(need(20), 0, lambda *_: None)
        assert found.needs == 80 * MIB
        os.kill(large, signal.SIGKILL)


def test_interrupted_wait(tmp_path) -> None:
    """A test whose wait is interrupted gives up its place in the queue."""
    path = tmp_path / "tokens"
    mine = tokens(path)

    def stop(*_: int) -> None:
        raise KeyboardInterrupt

    with process(holder(path, 60)) as pid:
        with pytest.raises(KeyboardInterrupt):
            mine.ask(need(90), 0, stop)
        assert not [share for share in mine.look() if share.ticket]
        os.kill(pid, signal.SIGKILL)


def test_unknown_tests(tmp_path) -> None:
    """The first test of which nothing is known runs alone, then the median counts."""
    path = tmp_path / "tokens"
    mine = tokens(path, level=10 * MIB)
    first = mine.ask(None, 0, lambda *_: None)
    assert (first.need.source, first.need.size) == (ALONE, 90 * MIB)
    mine.note(30 * MIB)
    mine.give_back()
    second = mine.ask(None, 1, lambda *_: None)
    assert (second.need.source, second.need.size) == (MEDIAN, 30 * MIB)
    assert not mine.is_small_now
    for _ in range(3):
        mine.note(MIB)
    assert mine.is_small_now


def test_median_of_other_workers(tmp_path) -> None:
    """A test of which nothing is known counts as the median in another worker of the run."""
    path = tmp_path / "tokens"

    def work(ready) -> None:
        tokens(path).note(30 * MIB)
        ready()
        time.sleep(PATIENCE)

    with process(work):
        assert tokens(path).ask(None, 0, lambda *_: None).need.size == 30 * MIB
        assert tokens(path, run=8).ask(None, 0, lambda *_: None).need.source == ALONE


def test_level(tmp_path) -> None:
    """The share that a process holds is written again where that matters."""
    levels = [MIB]
    mine = Tokens(TokenFile(tmp_path / "tokens"), 1, SIZE, lambda: levels[-1], os.getpid())
    for level, written in [(MIB + SMALL, MIB), (MIB + SMALL + 1, MIB + SMALL + 1)]:
        levels.append(level)
        mine.note_level()
        assert [written] == [share.level for share in mine.look()]


def test_closed_descriptors(tmp_path) -> None:
    """A test that closes every descriptor takes nothing away: the file is opened again."""
    path = tmp_path / "tokens"

    def work(ready) -> None:
        mine = tokens(path)
        os.closerange(mine._file._file.number, mine._file._file.number + 1)
        mine.ask(need(60), 0, lambda *_: None)
        ready()
        time.sleep(PATIENCE)

    with process(work):
        other = TokenFile(path)
        with other.locked():
            assert [share.need for share in other.others()] == [60 * MIB]


def test_fork_gives_nothing_back(tmp_path) -> None:
    """A child of the process does not give up its place."""
    path = tmp_path / "tokens"
    mine = tokens(path, level=MIB)
    with process(lambda ready: (mine.close(), ready())) as pid:
        assert ended(pid) == 0
    assert [share.level for share in mine.look()] == [MIB]


@pytest.mark.parametrize(
    ("prepare", "reason"),
    [
        pytest.param(
            lambda path: path.write_bytes(b"x" * 500), "no file of tokens", id="other"
        ),
        pytest.param(lambda path: path.mkdir(), "Is a directory", id="folder"),
        pytest.param(
            lambda path: path.symlink_to(path.parent / "elsewhere"), "symbolic", id="link"
        ),
        pytest.param(os.mkfifo, "no regular file", id="pipe"),
    ],
)
def test_unusable_file(tmp_path, prepare, reason) -> None:
    """A file that cannot be one of ours is refused, and not changed."""
    path = tmp_path / "tokens"
    prepare(path)
    with pytest.raises(OSError, match=reason):
        TokenFile(path)
    assert not (tmp_path / "elsewhere").exists()
