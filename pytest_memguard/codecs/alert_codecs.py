"""How alerts are stored."""

from __future__ import annotations

from typing import Final

from pytest_memguard.codecs.codec import Codec, Key, WrittenOnly
from pytest_memguard.model.alerts import COUNTED, Alert

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
