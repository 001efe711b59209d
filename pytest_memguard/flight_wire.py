"""Converts what is known about a lost worker to plain JSON and back."""

from __future__ import annotations

from pytest_memguard.flights import Ending, LostWorker, Neighbour, RunAlone, Span
from pytest_memguard.formats import Json


def lost_to_json(lost: LostWorker) -> Json:
    """Return what is known about a lost worker as plain JSON."""
    ending = lost.ending
    return {
        "worker": lost.worker,
        "cause": lost.cause,
        "signal": ending.signal,
        "exit_code": ending.exit_code,
        "highest_rss_bytes": ending.highest,
        "oom_kills": ending.oom_kills,
        "oom_source": ending.oom_source,
        "driver": lost.driver,
        "driver_test": lost.driver_test,
        "driver_bytes": lost.driver_size,
        "running": lost.running,
        "running_seconds": lost.running_seconds,
        "xdist_named": lost.named,
        "level_bytes": lost.level,
        "rise_bytes": lost.rise,
        "rise_is_bound": lost.rise_is_bound,
        "raised": [{"test": span.nodeid, "bytes": span.size} for span in lost.raised],
        "more_tests": lost.more_tests,
        "more_bytes": lost.more_size,
        "before_bytes": lost.before,
        "tests": lost.tests,
        "neighbours": [
            {
                "worker": other.worker,
                "level_bytes": other.level,
                "running": other.running,
                "rise_bytes": other.rise,
            }
            for other in lost.neighbours
        ],
        "problems": list(lost.problems),
        "record": lost.record,
        "time": lost.time,
        **({} if lost.alone is None else {"alone": _alone_to_json(lost.alone)}),
    }


def lost_from_json(data: Json) -> LostWorker:
    """Return what is known about a lost worker from its plain form."""
    return LostWorker(
        worker=data["worker"],
        cause=data["cause"],
        ending=Ending(
            signal=data["signal"],
            exit_code=data["exit_code"],
            running=data["cause"] == "disconnected",
            highest=data["highest_rss_bytes"],
            oom_kills=data["oom_kills"],
            oom_source=data["oom_source"],
        ),
        driver=data["driver"],
        driver_test=data["driver_test"],
        driver_size=data["driver_bytes"],
        running=data["running"],
        running_seconds=data["running_seconds"],
        named=data["xdist_named"],
        level=data["level_bytes"],
        rise=data["rise_bytes"],
        rise_is_bound=data["rise_is_bound"],
        raised=tuple(
            Span(low=0, high=span["bytes"], nodeid=span["test"]) for span in data["raised"]
        ),
        more_tests=data["more_tests"],
        more_size=data["more_bytes"],
        before=data["before_bytes"],
        tests=data["tests"],
        neighbours=tuple(
            Neighbour(
                worker=other["worker"],
                level=other["level_bytes"],
                running=other["running"],
                rise=other["rise_bytes"],
            )
            for other in data["neighbours"]
        ),
        problems=tuple(data["problems"]),
        record=data["record"],
        time=data["time"],
        alone=_alone_from_json(data["alone"]) if "alone" in data else None,
    )


def _alone_to_json(alone: RunAlone) -> Json:
    return {
        "test": alone.nodeid,
        "result": alone.result,
        "workers": alone.workers,
        "highest_rss_bytes": alone.highest,
        "reason": alone.reason,
    }


def _alone_from_json(data: Json) -> RunAlone:
    return RunAlone(
        nodeid=data["test"],
        result=data["result"],
        workers=data["workers"],
        highest=data["highest_rss_bytes"],
        reason=data["reason"],
    )
