"""``watch``: other programs during a block of a test, with real servers and real load."""

from __future__ import annotations

import os
import signal

import pytest

import pytest_memguard
from pytest_memguard import ConfigError, LeakDetected, LeakUndecided, Unmeasurable
from pytest_memguard.recording.watch import watch
from tests.support.watched_programs import Server, server, sleeper, wait_until

pytestmark = pytest.mark.slow


def test_a_server_that_leaks() -> None:
    """A server that keeps 10 KB of each request is growing, and the failure shows it all."""
    with (
        server() as running,
        watch(running, interval=0.05) as recording,
        recording.stage("load") as stage,
    ):
        requests = running.load(2.0)
    growth = recording.growth
    assert growth.state == "growing"
    rate = growth.of("rss").per_hour / 3600
    assert 0.5 < rate / (requests / 2.0 * 10 * 1024) < 1.6
    assert {"rss"} == {one.signal for one in growth.growing}
    assert stage.growth.state == "growing"
    assert stage.peak.rss > stage.before.rss + requests * 8 * 1024
    assert stage.rise.rss == stage.peak.rss - stage.before.rss
    assert stage.rise.rss > "1 MB"
    assert recording.rise.rss == recording.peak.rss - recording.first.rss
    assert recording.rise.children == 0
    with pytest.raises(
        LeakDetected, match=r"grows under load: rss [+].*MiB per hour"
    ) as failure:
        recording.check_growth()
    assert "rss MiB      growing" in str(failure.value)
    assert "\nload     growing" in str(failure.value)
    assert repr(recording).startswith(f"<recording of {running.pid}: growing: rss +")


def test_a_server_with_a_bounded_cache() -> None:
    """A cache that is full after some requests is a plateau, and no leak."""
    with server(bound=60) as running, watch(running, interval=0.05) as recording:
        running.load(2.0)
    assert recording.growth.state in {"plateau", "flat"}
    assert recording.check_growth() == recording.growth
    assert recording.peak.rss < recording.first.rss + (4 << 20)
    assert recording.peak.fds >= recording.first.fds


def test_a_server_that_is_restarted() -> None:
    """The recording goes on with the server's new process, and reports the change."""
    first = Server(bound=60)
    second = None
    try:
        with watch(first.pid, interval=0.02) as recording:
            first.load(0.1)
            first.stop()
            second = Server(bound=60)
            assert wait_until(lambda: recording.restarts)
            second.load(0.1)
    finally:
        (second or first).stop()
    assert recording.restarts == 1
    expected = f"restarted: process {second.pid} has taken the place of {first.pid}"
    assert expected in recording.table()


def test_an_object_with_another_process() -> None:
    """An object that wraps the server is asked for its present process."""

    class Restarting:
        def __init__(self, pid) -> None:
            self.pid = pid

    with sleeper("81") as one, sleeper("82") as other:
        service = Restarting(one.pid)
        with watch(service) as recording:
            service.pid = other.pid
        assert [one.pid, other.pid] == [life.pid for life in recording.record.lives]
        with watch(one) as recording:
            recording.follow(other)
        assert recording.restarts == 1


def test_a_short_recording_is_undecided() -> None:
    """With too few samples there is no verdict, and asserting one fails."""
    with sleeper() as process, watch(process) as recording:
        assert recording.last.rss > 0
        assert recording.peak.children == 0
    assert recording.growth.state == "undecided"
    with pytest.raises(LeakUndecided, match="too few samples for a verdict"):
        recording.check_growth()


def test_a_process_that_dies_in_the_block() -> None:
    """The end of the process is an event; what was read before is there."""
    with sleeper() as process, watch(process, interval=0.02) as recording:
        process.kill()
        process.wait()
        assert wait_until(lambda: recording.events)
    assert [event.kind for event in recording.events] == ["ended"]
    assert recording.first.rss > 0


@pytest.mark.parametrize(
    "process",
    [
        pytest.param("12", id="text"),
        pytest.param(True, id="bool"),
        pytest.param(-5, id="negative"),
        pytest.param(0, id="zero"),
        pytest.param(None, id="none"),
    ],
)
def test_what_is_no_process(process) -> None:
    """An object without a process number is refused, with what would be right."""
    with pytest.raises(ConfigError, match="is no process to watch"), watch(process):
        pass


@pytest.mark.parametrize("interval", [0, -1, 0.001, "soon", float("nan"), True])
def test_intervals(interval) -> None:
    """An interval that makes no sense is refused."""
    with (
        pytest.raises(ConfigError, match=r"interval .* is not a number of seconds"),
        watch(os.getpid(), interval),
    ):
        pass


def test_a_process_that_is_not_there() -> None:
    """A recording of no process is refused."""
    with sleeper() as process:
        pass
    with (
        pytest.raises(Unmeasurable, match=f"there is no process {process.pid}"),
        watch(process),
    ):
        pass


def test_exceptions_of_the_block_pass() -> None:
    """An error in the block reaches the test, and the recording has its numbers."""
    with pytest.raises(KeyError), watch(os.getpid()) as recording, recording.stage("one"):
        raise KeyError
    assert [stage.name for stage in recording.stages] == ["one"]
    with pytest.raises(ConfigError, match="a stage needs a name"), recording.stage(""):
        pass


def test_the_process_that_watches_is_killed() -> None:
    """A recording without its watcher fails with the reason; it does not hang."""
    with (
        pytest.raises(Unmeasurable, match="the process that watches has ended"),
        watch(os.getpid()) as recording,
    ):
        os.kill(recording._client.watcher, signal.SIGKILL)


def test_a_forked_copy_cannot_ask() -> None:
    """A forked copy of the test leaves the recording alone."""
    read, write = os.pipe()
    with watch(os.getpid()) as recording:
        pid = os.fork()
        if not pid:
            try:
                str(recording.first)
            except Unmeasurable as error:
                os.write(write, str(error).encode())
            os._exit(0)
        os.waitpid(pid, 0)
        assert recording.first.rss > 0
    os.close(write)
    with os.fdopen(read, encoding="utf-8") as answer:
        assert "a forked copy of the process" in answer.read()


def test_no_child_of_the_test() -> None:
    """The process that watches is not a child of the test."""
    with watch(os.getpid()) as recording:
        assert recording.last.children == recording.first.children
        with pytest.raises(ChildProcessError):
            os.waitpid(recording._client.watcher, os.WNOHANG)
    assert wait_until(lambda: not _exists(recording._client.watcher))


def _exists(pid) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_public_names() -> None:
    """The function is public, and so are the types of what it returns."""
    assert pytest_memguard.watch is watch
    with pytest_memguard.watch(os.getpid()) as recording:
        assert isinstance(recording, pytest_memguard.Recording)
        assert isinstance(recording.peak, pytest_memguard.Levels)
        assert isinstance(recording.growth, pytest_memguard.WatchGrowth)
