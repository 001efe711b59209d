"""Converts what is known about the death of a test's process to plain JSON and back."""

from __future__ import annotations

from pytest_memguard.deaths import Death
from pytest_memguard.flights import Ending
from pytest_memguard.formats import Json


def death_to_json(death: Death) -> Json:
    """Return the death of a process as plain JSON."""
    ending = death.ending
    return {
        "cause": death.cause,
        "phase": death.phase,
        "signal": ending.signal,
        "exit_code": ending.exit_code,
        "oom_kills": ending.oom_kills,
        "oom_source": ending.oom_source,
        "highest_rss_bytes": ending.highest,
        "seconds": death.seconds,
        "level_bytes": death.level,
        "used_bytes": death.used,
        "limit_bytes": death.limit,
        "timeout_seconds": death.timeout,
        "where": death.where,
        "stack": list(death.stack),
    }


def death_from_json(data: Json) -> Death:
    """Return the death of a process from its plain form."""
    return Death(
        cause=data["cause"],
        phase=data["phase"],
        ending=Ending(
            signal=data["signal"],
            exit_code=data["exit_code"],
            highest=data["highest_rss_bytes"],
            oom_kills=data["oom_kills"],
            oom_source=data["oom_source"],
        ),
        seconds=data["seconds"],
        level=data["level_bytes"],
        used=data["used_bytes"],
        limit=data["limit_bytes"],
        timeout=data["timeout_seconds"],
        where=data["where"],
        stack=tuple(data["stack"]),
    )
