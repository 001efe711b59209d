"""How what is known about a lost worker is stored."""

from __future__ import annotations

from typing import Final

from pytest_memguard.codecs.codec import Codec, Inline, Key, ReadOnly, WrittenOnly
from pytest_memguard.codecs.forms import LIST, Many
from pytest_memguard.model.flights import Ending, LostWorker, Neighbour, RunAlone, Span

_ENDING: Final = Codec(
    Ending,
    "signal",
    "exit_code",
    Key("highest", "highest_rss_bytes"),
    "oom_kills",
    "oom_source",
    ReadOnly("running", lambda lost: lost["cause"] == "disconnected"),
)
_RAISED: Final = Codec(
    Span,
    Key("nodeid", "test"),
    WrittenOnly("bytes", lambda span: span.size),
    ReadOnly("low", lambda _: 0),
    ReadOnly("high", lambda span: span["bytes"]),
    not_stored=["tests"],
)
_NEIGHBOUR: Final = Codec(
    Neighbour,
    "worker",
    Key("level", "level_bytes"),
    "running",
    Key("rise", "rise_bytes"),
)
_ALONE: Final = Codec(
    RunAlone,
    Key("nodeid", "test"),
    "result",
    "workers",
    Key("highest", "highest_rss_bytes"),
    "reason",
)
LOST_CODEC: Final = Codec(
    LostWorker,
    "worker",
    "cause",
    Inline("ending", _ENDING),
    "driver",
    "driver_test",
    Key("driver_size", "driver_bytes"),
    "running",
    "running_seconds",
    Key("named", "xdist_named"),
    Key("level", "level_bytes"),
    Key("rise", "rise_bytes"),
    "rise_is_bound",
    Key("raised", form=Many(_RAISED)),
    "more_tests",
    Key("more_size", "more_bytes"),
    Key("before", "before_bytes"),
    "tests",
    Key("neighbours", form=Many(_NEIGHBOUR)),
    Key("problems", form=LIST),
    "record",
    "time",
    Key("alone", form=_ALONE, missing=None, sparse=True),
)
