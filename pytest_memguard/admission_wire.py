"""Converts what is known of tests that waited for memory to plain JSON and back."""

from __future__ import annotations

from pytest_memguard.admission import Admission, ExceededNeed, Need, ParallelRun, WaitedTest
from pytest_memguard.formats import Json


def admission_to_json(admission: Admission) -> Json:
    """Return how one test came to start, as it travels on its report."""
    return {
        "size": admission.need.size,
        "source": admission.need.source,
        "waited": admission.waited,
        "needs": admission.needs,
        "levels": admission.levels,
        "elsewhere": admission.elsewhere,
    }


def admission_from_json(data: Json) -> Admission:
    """Return how one test came to start from its plain form."""
    return Admission(
        need=Need(size=data["size"], source=data["source"]),
        waited=data["waited"],
        needs=data["needs"],
        levels=data["levels"],
        elsewhere=data["elsewhere"],
    )


def parallel_to_json(run: ParallelRun) -> Json:
    """Return how tests shared the memory as plain JSON."""
    return {
        "size_bytes": run.size,
        "source": run.source,
        "reason": run.reason,
        "admitted": run.admitted,
        "waited_seconds": run.seconds,
        "highest_needs_bytes": run.needs,
        "levels_bytes": run.levels,
        "other_runs_bytes": run.elsewhere,
        "highest_sum_bytes": run.real or None,
        "highest_sum_is": run.real_is,
        "waited": [
            {
                "nodeid": test.nodeid,
                "worker": test.worker,
                "need_bytes": test.need.size,
                "source": test.need.source,
                "seconds": test.seconds,
            }
            for test in run.waited
        ],
        "exceeded": [
            {
                "nodeid": test.nodeid,
                "need_bytes": test.need.size,
                "source": test.need.source,
                "used_bytes": test.used,
            }
            for test in run.exceeded
        ],
    }


def parallel_from_json(data: Json) -> ParallelRun:
    """Return how tests shared the memory from its plain form."""
    return ParallelRun(
        size=data["size_bytes"],
        source=data["source"],
        reason=data["reason"],
        admitted=data["admitted"],
        needs=data["highest_needs_bytes"],
        levels=data["levels_bytes"],
        elsewhere=data["other_runs_bytes"],
        real=data["highest_sum_bytes"] or 0,
        real_is=data["highest_sum_is"],
        waited=tuple(
            WaitedTest(
                nodeid=test["nodeid"],
                worker=test["worker"],
                need=Need(size=test["need_bytes"], source=test["source"]),
                seconds=test["seconds"],
            )
            for test in data["waited"]
        ),
        exceeded=tuple(
            ExceededNeed(
                nodeid=test["nodeid"],
                need=Need(size=test["need_bytes"], source=test["source"]),
                used=test["used_bytes"],
            )
            for test in data["exceeded"]
        ),
    )
