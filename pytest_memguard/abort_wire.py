"""Converts what is known about a run that was stopped to plain JSON and back."""

from __future__ import annotations

from pytest_memguard.aborts import Abort, Breach, Part, ProcessLevel
from pytest_memguard.formats import Json


def breach_to_json(breach: Breach) -> Json:
    """Return the moment at which a run used too much, as it travels between processes."""
    return {
        "used": breach.used,
        "available": breach.available,
        "source": breach.source,
        "processes": [(one.pid, one.parent, one.size) for one in breach.processes],
        "time": breach.time,
    }


def breach_from_json(data: Json) -> Breach:
    """Return that moment from its plain form."""
    return Breach(
        used=data["used"],
        available=data["available"],
        source=data["source"],
        processes=tuple(
            ProcessLevel(pid=pid, parent=parent, size=size)
            for pid, parent, size in data["processes"]
        ),
        time=data["time"],
    )


def abort_to_json(abort: Abort) -> Json:
    """Return why a run was stopped, as plain JSON."""
    return {
        "reason": abort.reason,
        "used_bytes": abort.used,
        "tests": [
            {
                "test": part.nodeid,
                "worker": part.worker,
                "bytes": part.size,
                "running": part.running,
                "children_bytes": part.children,
            }
            for part in abort.parts
        ],
        "more_tests": abort.more_tests,
        "more_bytes": abort.more_size,
        "rest_bytes": abort.rest,
        "problems": list(abort.problems),
        "time": abort.time,
    }


def abort_from_json(data: Json) -> Abort:
    """Return why a run was stopped, from its plain form."""
    return Abort(
        reason=data["reason"],
        used=data["used_bytes"],
        parts=tuple(
            Part(
                nodeid=part["test"],
                worker=part["worker"],
                size=part["bytes"],
                running=part["running"],
                children=part["children_bytes"],
            )
            for part in data["tests"]
        ),
        more_tests=data["more_tests"],
        more_size=data["more_bytes"],
        rest=data["rest_bytes"],
        problems=tuple(data["problems"]),
        time=data["time"],
    )
