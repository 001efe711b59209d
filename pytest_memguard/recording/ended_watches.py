"""Hands on what a test has recorded of other programs, once its block has ended."""

from __future__ import annotations

from pytest_memguard import watch_host
from pytest_memguard.model.watch_readings import WatchedSignal, WatchedStage, WatchReading
from pytest_memguard.watch_levels import PROCESS_SIGNALS, WatchSignal
from pytest_memguard.watches import StageOfWatch, WatchRecord


def hand_on(record: WatchRecord) -> None:
    """Hand a recording on that has ended, if something takes it."""
    if watch_host.current is not None:
        watch_host.current(reading_of(record))


def reading_of(record: WatchRecord) -> WatchReading:
    """Return what a result keeps of a recording."""
    life = record.lives[-1]
    return WatchReading(
        command=life.command,
        pid=life.pid,
        seconds=record.seconds,
        samples=record.samples,
        restarts=sum(event.former != 0 for event in record.events),
        verdict=record.growth.state,
        doubt=record.growth.doubt,
        signals=tuple(_signal(record, signal) for signal in PROCESS_SIGNALS),
        stages=tuple(map(_stage, record.stages)),
    )


def _signal(record: WatchRecord, signal: WatchSignal) -> WatchedSignal:
    growth = record.growth.of(signal)
    return WatchedSignal(
        signal=signal,
        verdict="" if growth is None else growth.state,
        first=_plain(record.first.of(signal)),
        last=_plain(record.last.of(signal)),
        peak=_plain(record.peak.of(signal)),
        per_hour=0.0 if growth is None else growth.per_hour,
        low=0.0 if growth is None else growth.low,
        high=0.0 if growth is None else growth.high,
    )


def _stage(stage: StageOfWatch) -> WatchedStage:
    return WatchedStage(
        name=stage.name,
        seconds=stage.end - stage.start,
        verdict=stage.growth.state,
        before=_plain(stage.before.rss),
        after=_plain(stage.after.rss),
        peak=_plain(stage.peak.rss),
    )


def _plain(level: int | None) -> int | None:
    """Return a reading as a plain number: JSON writes a `Size` as it prints."""
    return None if level is None else int(level)
