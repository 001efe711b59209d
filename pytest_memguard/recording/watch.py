"""Watches another program during a block of a test: ``with watch(server) as recording:``."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Final

from pytest_memguard.codecs.watch_codecs import WATCH_STAGE_CODEC, watch_from_json
from pytest_memguard.errors import (
    ConfigError,
    LeakDetected,
    LeakUndecided,
    Unmeasurable,
    quoted,
)
from pytest_memguard.recording.ended_watches import hand_on
from pytest_memguard.recording.watch_client import WatchClient
from pytest_memguard.report.watch_tables import recording_table
from pytest_memguard.report.watch_verdict import growth_sentence
from pytest_memguard.units import as_number
from pytest_memguard.watch_levels import Levels, above
from pytest_memguard.watches import StageOfWatch, WatchEvent, WatchGrowth, WatchRecord

DEFAULT_INTERVAL: Final = 0.1
LEAST_INTERVAL: Final = 0.01
_MOST_SECONDS: Final = 86_400.0


class WatchStage:
    """A named part of a recording; its numbers are there once its block has ended."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._stage: StageOfWatch | None = None

    def fill(self, stage: StageOfWatch) -> None:
        """Take the numbers."""
        self._stage = stage

    def _get(self) -> StageOfWatch:
        if self._stage is None:
            msg = f"the numbers of stage {self.name!r} are there once its block has ended"
            raise RuntimeError(msg)
        return self._stage

    @property
    def before(self) -> Levels:
        """The reading at its start."""
        return self._get().before

    @property
    def after(self) -> Levels:
        """The reading at its end."""
        return self._get().after

    @property
    def peak(self) -> Levels:
        """The highest reading of each signal."""
        return self._get().peak

    @property
    def rise(self) -> Levels:
        """How far the highest reading of each signal is above the one at the start."""
        return above(self._get().peak, self._get().before)

    @property
    def growth(self) -> WatchGrowth:
        """The verdict on it."""
        return self._get().growth

    def __repr__(self) -> str:
        if self._stage is None:
            return f"<stage {self.name!r}, not ended>"
        return f"<stage {self.name!r}: {self._stage.growth}>"


class Recording:
    """What `watch` recorded. Inside the block the numbers are those so far.

    Args:
        client: the process that watches.
        target: what is watched.
    """

    def __init__(self, client: WatchClient, target: object) -> None:
        self._client = client
        self._target = target
        self._pid = pid_of(target)
        self._record: WatchRecord | None = None

    @contextlib.contextmanager
    def stage(self, name: str) -> Iterator[WatchStage]:
        """Name a part of the recording, which gets a peak and a verdict of its own.

        Raises:
            ConfigError: if the name is empty.
        """
        if not str(name).strip() or not isinstance(name, str):
            msg = f"a stage needs a name, not {name!r}"
            raise ConfigError(msg)
        self._follow_target()
        stage = WatchStage(name)
        self._client.ask(ask="begin-stage", name=name)
        try:
            yield stage
        except BaseException:
            with contextlib.suppress(Unmeasurable):  # what the block has raised says more
                self._end_stage(stage)
            raise
        self._end_stage(stage)

    def _end_stage(self, stage: WatchStage) -> None:
        self._follow_target()
        answer = self._client.ask(ask="end-stage", name=stage.name)
        stage.fill(WATCH_STAGE_CODEC.read(answer["stage"]))

    def follow(self, process: object) -> None:
        """Watch another process from here on, which has taken the place of the former one.

        Args:
            process: a process number, or an object with a ``pid``.

        Raises:
            ConfigError: if it is neither.
            Unmeasurable: if the process is not there, or must not be watched.
        """
        pid = pid_of(process)
        self._target, self._pid = process, pid
        self._client.ask(ask="follow", pid=pid)

    @property
    def record(self) -> WatchRecord:
        """All numbers."""
        if self._record is not None:
            return self._record
        return self._ask("record")

    @property
    def peak(self) -> Levels:
        """The highest reading of each signal: ``recording.peak.rss < "500 MB"``."""
        return self.record.peak

    @property
    def rise(self) -> Levels:
        """How far the highest reading of each signal is above the first one."""
        record = self.record
        return above(record.peak, record.first)

    @property
    def first(self) -> Levels:
        """The first reading."""
        return self.record.first

    @property
    def last(self) -> Levels:
        """The latest reading."""
        return self.record.last

    @property
    def growth(self) -> WatchGrowth:
        """The verdict."""
        return self.record.growth

    @property
    def stages(self) -> tuple[StageOfWatch, ...]:
        """The named parts, in the order in which they ended."""
        return self.record.stages

    @property
    def events(self) -> tuple[WatchEvent, ...]:
        """What happened: restarts, and the end of the process."""
        return self.record.events

    @property
    def restarts(self) -> int:
        """How often another process, or another program, has taken the place of the former."""
        return sum(event.former != 0 for event in self.events)

    def table(self) -> str:
        """Return the readings as a table: a row for each stage, and one for the whole."""
        return recording_table(self.record)

    def check_growth(self) -> WatchGrowth:
        """Fail unless the program was flat, or reached a plateau.

        Returns:
            The verdict.

        Raises:
            LeakDetected: if it grows.
            LeakUndecided: if there is no verdict.
        """
        __tracebackhide__ = True
        record = self.record
        growth = record.growth
        if growth.state in {"growing", "undecided"}:
            text = f"{growth_sentence(record)}\n\n{recording_table(record)}"
            raise (LeakDetected if growth.state == "growing" else LeakUndecided)(text)
        return growth

    def end(self) -> None:
        """End the recording, and keep its numbers."""
        self._follow_target()
        self._record = self._ask("end")
        hand_on(self._record)

    def __repr__(self) -> str:
        if self._record is None:
            return "<recording, not ended>"
        return f"<recording of {self._record.target}: {self._record.growth}>"

    def _ask(self, what: str) -> WatchRecord:
        return watch_from_json(self._client.ask(ask=what)["record"], "the recording")

    def _follow_target(self) -> None:
        """Notice that the object which stands for the program has another process by now."""
        pid = getattr(self._target, "pid", None)
        if isinstance(pid, int) and not isinstance(pid, bool) and pid != self._pid:
            self._pid = pid
            self._client.ask(ask="follow", pid=pid)


def pid_of(process: object) -> int:
    """Return the number of a process.

    Raises:
        ConfigError: if it is neither a number nor an object that has one.
    """
    pid = getattr(process, "pid", process)
    if isinstance(pid, bool) or not isinstance(pid, int) or pid <= 0:
        msg = (
            f"{quoted(process)} is no process to watch: "
            "give its number, or an object with a pid, such as subprocess.Popen"
        )
        raise ConfigError(msg)
    return pid


def seconds_of(value: object, what: str, least: float) -> float:
    """Return a number of seconds.

    Raises:
        ConfigError: if it is anything else.
    """
    number = as_number(value)
    if number is None or not least <= number <= _MOST_SECONDS:
        span = f"from {least:g} to {_MOST_SECONDS:,.0f}"
        msg = f"{what} {quoted(value)} is not a number of seconds {span}"
        raise ConfigError(msg)
    return number


@contextlib.contextmanager
def watch(
    process: object,
    interval: float = DEFAULT_INTERVAL,
    *,
    children: bool = True,
    warm_up: float | None = None,
) -> Iterator[Recording]:
    """Watch another program during a block.

    A process of memguard's own takes the samples. If the program is restarted, the process
    that has taken its place is watched.

    Args:
        process: a process number, or an object with a ``pid``, such as `subprocess.Popen`.
        interval: seconds between two samples.
        children: whether its descendants count.
        warm_up: seconds to leave out of the verdict; a third of the time if ``None``.

    Raises:
        ConfigError: if an argument makes no sense.
        Unmeasurable: if the process is not there, or must not be watched.
    """
    __tracebackhide__ = True
    pid = pid_of(process)
    seconds = seconds_of(interval, "interval", LEAST_INTERVAL)
    left_out = None if warm_up is None else seconds_of(warm_up, "warm_up", 0)
    target = str(pid)
    client = WatchClient(pid, target, seconds, left_out, children=bool(children))
    recording = Recording(client, process)
    try:
        yield recording
    except BaseException:
        with contextlib.suppress(Unmeasurable):  # what the block has raised says more
            recording.end()
        raise
    else:
        recording.end()
    finally:
        client.close()
