"""The JSON form of a watch."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Final

from pytest_memguard.errors import ConfigError
from pytest_memguard.formats import Json, other_format, present_state
from pytest_memguard.watch_levels import PROCESS_SIGNALS, SIGNALS, Levels, levels_of
from pytest_memguard.watches import (
    IterationReading,
    Life,
    SignalGrowth,
    StageOfWatch,
    WatchedProcess,
    WatchEvent,
    WatchGrowth,
    WatchRecord,
    WatchTrace,
)

FORMAT: Final = 1
# 1: first format.
_KIND: Final = "memguard watch"


def watch_to_json(record: WatchRecord) -> Json:
    """Return a watch as an object of JSON."""
    trace = record.trace
    return {
        "format": FORMAT,
        "kind": _KIND,
        **{
            name: getattr(record, name)
            for name in ("target", "started", "interval", "kept_interval", "seconds", "samples")
        },
        "with_children": record.with_children,
        "verdict": growth_to_json(record.growth),
        "first": _levels(record.first),
        "last": _levels(record.last),
        "peak": _levels(record.peak),
        "stages": [stage_to_json(stage) for stage in record.stages],
        "events": [_plain(event) for event in record.events],
        "lives": [_plain(life) for life in record.lives],
        "processes": [_plain(process) for process in record.processes],
        "begun": record.begun,
        "gone": record.gone,
        "iterations": [
            {**_plain(one), "levels": _levels(one.levels)} for one in record.iterations
        ],
        "snapshots": list(record.snapshots),
        "gaps": [{"subject": subject, "reason": reason} for subject, reason in record.gaps],
        "trace": {
            "seconds": list(trace.seconds),
            "life": list(trace.lives),
            "cpu_seconds": list(trace.cpu),
            **{signal: list(values) for signal, values in trace.levels.items()},
        },
    }


def watch_from_json(data: object, name: str) -> WatchRecord:
    """Return a watch from what `watch_to_json` made.

    Args:
        data: the content of a file.
        name: name of the file, for messages.

    Raises:
        ConfigError: if it is not a watch.
    """
    if not isinstance(data, Mapping) or data.get("kind") != _KIND:
        msg = f"{name} is not a recording: memguard watch --json writes one"
        raise ConfigError(msg)
    if data.get("format") != FORMAT:
        msg = f"{name} has {other_format(data.get('format'), FORMAT)}"
        raise ConfigError(msg)
    try:
        return _watch(data)
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        msg = f"{name} has a value that makes no sense ({type(error).__name__}: {error})"
        raise ConfigError(msg) from error


def _watch(data: Mapping[str, Any]) -> WatchRecord:
    trace = data["trace"]
    return WatchRecord(
        target=data["target"],
        started=data["started"],
        interval=data["interval"],
        kept_interval=data["kept_interval"],
        seconds=data["seconds"],
        samples=data["samples"],
        with_children=data["with_children"],
        lives=tuple(Life(**life) for life in data["lives"]),
        trace=WatchTrace(
            seconds=tuple(trace["seconds"]),
            lives=tuple(trace["life"]),
            cpu=tuple(trace["cpu_seconds"]),
            levels={signal: tuple(trace[signal]) for signal in SIGNALS if signal in trace},
        ),
        first=levels_of(data["first"]),
        last=levels_of(data["last"]),
        peak=levels_of(data["peak"]),
        growth=growth_from_json(data["verdict"]),
        stages=tuple(map(stage_from_json, data["stages"])),
        events=tuple(WatchEvent(**event) for event in data["events"]),
        processes=tuple(WatchedProcess(**process) for process in data["processes"]),
        begun=data["begun"],
        gone=data["gone"],
        gaps=tuple((gap["subject"], gap["reason"]) for gap in data["gaps"]),
        iterations=tuple(
            IterationReading(**{**one, "levels": levels_of(one["levels"])})
            for one in data.get("iterations", ())
        ),
        snapshots=tuple(data.get("snapshots", ())),
    )


def growth_to_json(growth: WatchGrowth) -> Json:
    """Return a verdict as an object of JSON."""
    plain = _plain(growth)
    plain["signals"] = [_plain(signal) for signal in growth.signals]
    return plain


def growth_from_json(data: Mapping[str, Any]) -> WatchGrowth:
    """Return a verdict from what `growth_to_json` made."""
    signals = tuple(
        SignalGrowth(**{**signal, "state": present_state(signal["state"])})
        for signal in data["signals"]
    )
    state = present_state(data["state"])
    return WatchGrowth(**{**data, "state": state, "signals": signals})


def stage_to_json(stage: StageOfWatch) -> Json:
    """Return a stage as an object of JSON."""
    return {
        "name": stage.name,
        "start": stage.start,
        "end": stage.end,
        "before": _levels(stage.before),
        "after": _levels(stage.after),
        "peak": _levels(stage.peak),
        "verdict": growth_to_json(stage.growth),
    }


def stage_from_json(data: Mapping[str, Any]) -> StageOfWatch:
    """Return a stage from what `stage_to_json` made."""
    return StageOfWatch(
        name=data["name"],
        start=data["start"],
        end=data["end"],
        before=levels_of(data["before"]),
        after=levels_of(data["after"]),
        peak=levels_of(data["peak"]),
        growth=growth_from_json(data["verdict"]),
    )


def _levels(levels: Levels) -> Json:
    """Return readings as plain numbers: JSON writes a `Size` as it prints."""
    values = zip(SIGNALS, levels, strict=True)
    return {
        signal: None if value is None else int(value)
        for signal, value in values
        if value is not None or signal in PROCESS_SIGNALS
    }


def _plain(value: Any) -> Json:
    return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
