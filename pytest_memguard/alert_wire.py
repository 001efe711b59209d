"""Converts alerts to plain JSON and back."""

from __future__ import annotations

from pytest_memguard.alerts import Alert
from pytest_memguard.formats import Json


def alert_to_json(alert: Alert) -> Json:
    """Return an alert as plain JSON."""
    return {
        "severity": alert.severity,
        "limit_bytes": alert.limit,
        "highest_rss_bytes": alert.highest,
        "worker": alert.worker,
        "test": alert.nodeid,
        "phase": alert.phase,
    }


def alert_from_json(data: Json) -> Alert:
    """Return an alert from its plain form."""
    return Alert(
        severity=data["severity"],
        limit=data["limit_bytes"],
        highest=data["highest_rss_bytes"],
        worker=data["worker"],
        nodeid=data["test"],
        phase=data["phase"],
    )
