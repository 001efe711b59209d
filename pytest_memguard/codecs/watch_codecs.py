"""How a watch is stored."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from pytest_memguard.codecs.codec import Codec, FlatCodec, Key, WrittenOnly
from pytest_memguard.codecs.forms import LIST, Converted, Many
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


def _write_levels(levels: Levels) -> Json:
    """Return readings as plain numbers: JSON writes a `Size` as it prints."""
    values = zip(SIGNALS, levels, strict=True)
    return {
        signal: None if value is None else int(value)
        for signal, value in values
        if value is not None or signal in PROCESS_SIGNALS
    }


def _write_trace(trace: WatchTrace) -> Json:
    return {
        "seconds": list(trace.seconds),
        "life": list(trace.lives),
        "cpu_seconds": list(trace.cpu),
        **{signal: list(values) for signal, values in trace.levels.items()},
    }


def _read_trace(trace: Json) -> WatchTrace:
    return WatchTrace(
        seconds=tuple(trace["seconds"]),
        lives=tuple(trace["life"]),
        cpu=tuple(trace["cpu_seconds"]),
        levels={signal: tuple(trace[signal]) for signal in SIGNALS if signal in trace},
    )


_LEVELS: Final = Converted(_write_levels, levels_of)
_STATE: Final = Converted(str, present_state)
_GAP: Final = Converted(
    lambda gap: {"subject": gap[0], "reason": gap[1]},
    lambda data: (data["subject"], data["reason"]),
)
_GROWTH: Final = FlatCodec(
    WatchGrowth,
    state=_STATE,
    signals=Many(FlatCodec(SignalGrowth, state=_STATE)),
)
WATCH_STAGE_CODEC: Final = Codec(
    StageOfWatch,
    "name",
    "start",
    "end",
    Key("before", form=_LEVELS),
    Key("after", form=_LEVELS),
    Key("peak", form=_LEVELS),
    Key("growth", "verdict", _GROWTH),
)
WATCH_CODEC: Final = Codec(
    WatchRecord,
    WrittenOnly("format", lambda _: FORMAT),
    WrittenOnly("kind", lambda _: _KIND),
    "target",
    "started",
    "interval",
    "kept_interval",
    "seconds",
    "samples",
    "with_children",
    Key("growth", "verdict", _GROWTH),
    Key("first", form=_LEVELS),
    Key("last", form=_LEVELS),
    Key("peak", form=_LEVELS),
    Key("stages", form=Many(WATCH_STAGE_CODEC)),
    Key("events", form=Many(FlatCodec(WatchEvent))),
    Key("lives", form=Many(FlatCodec(Life))),
    Key("processes", form=Many(FlatCodec(WatchedProcess))),
    "begun",
    "gone",
    Key("iterations", form=Many(FlatCodec(IterationReading, levels=_LEVELS)), missing=()),
    Key("snapshots", form=LIST, missing=()),
    Key("gaps", form=Many(_GAP)),
    Key("trace", form=Converted(_write_trace, _read_trace)),
)


def watch_from_json(data: object, name: str) -> WatchRecord:
    """Return a watch from its stored form.

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
        return WATCH_CODEC.read(dict(data))
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        msg = f"{name} has a value that makes no sense ({type(error).__name__}: {error})"
        raise ConfigError(msg) from error
