"""How what a test recorded of another program is stored."""

from __future__ import annotations

from typing import Final

from pytest_memguard.codecs.codec import FlatCodec
from pytest_memguard.codecs.forms import Many
from pytest_memguard.model.watch_readings import WatchedSignal, WatchedStage, WatchReading

WATCH_READING_CODEC: Final = FlatCodec(
    WatchReading,
    signals=Many(FlatCodec(WatchedSignal)),
    stages=Many(FlatCodec(WatchedStage)),
)
