"""Converts alerts to plain JSON and back."""

from __future__ import annotations

from pytest_memguard.alerts import COUNTED, Alert
from pytest_memguard.formats import Json


def alert_to_json(alert: Alert) -> Json:
    """Return an alert as plain JSON."""
    return {
        "signal": alert.signal,
        "unit": COUNTED.get(alert.signal, "bytes"),
        "severity": alert.severity,
        "limit": alert.limit,
        "highest": alert.highest,
        "worker": alert.worker,
        "test": alert.nodeid,
        "phase": alert.phase,
    }


def alert_from_json(data: Json) -> Alert:
    """Return an alert from its plain form."""
    return Alert(
        signal=data["signal"],
        severity=data["severity"],
        limit=data["limit"],
        highest=data["highest"],
        worker=data["worker"],
        nodeid=data["test"],
        phase=data["phase"],
    )
