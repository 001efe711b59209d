"""How alerts are stored."""

from __future__ import annotations

from typing import Final

from pytest_memguard.alerts import COUNTED, Alert
from pytest_memguard.codecs.codec import Codec, Key, WrittenOnly

ALERT_CODEC: Final = Codec(
    Alert,
    "signal",
    WrittenOnly("unit", lambda alert: COUNTED.get(alert.signal, "bytes")),
    "severity",
    "limit",
    "highest",
    "worker",
    Key("nodeid", "test"),
    "phase",
)
