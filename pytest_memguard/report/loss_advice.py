"""Says what to try when a worker was lost."""

from __future__ import annotations

import shlex

from pytest_memguard.model.flights import LostWorker


def advice(lost: LostWorker) -> list[str]:
    """Return what to try, the most promising first."""
    test = shlex.quote(lost.driver_test or lost.running or lost.named)
    alone = [f"pytest -n0 --mem {test}", "  shows what it needs when it runs alone"]
    if lost.alone is not None and lost.alone.result == "passed":
        return ["fewer workers (-n), so that it does not meet others that need much"]
    lines: list[str] = []
    if lost.driver in {"running", "unknown"}:
        lines += alone if test != "''" else []
    elif lost.driver == "earlier":
        lines.append(f"pytest -n0 --mem-leak-check {test}")
        lines.append("  shows whether each call keeps more, and what holds it;")
        lines.append("  what it keeps once may be freed in the teardown of a fixture")
    elif lost.driver == "several":
        lines += ["pytest --mem-leak-check", "  shows what each of them keeps"]
    elif lost.driver == "neighbour":
        lines += [*alone, "fewer workers (-n), so that the two do not meet"]
    elif lost.cause == "out-of-memory":
        lines.append("fewer workers (-n), or more memory: something else has used it up")
    return lines + _of_cause(lost, shlex.quote(lost.running))


def _of_cause(lost: LostWorker, running: str) -> list[str]:
    if lost.cause == "killed" and lost.ending.oom_kills == 0:
        return [
            "find out what sent SIGKILL: a limit or time-out of the CI service,",
            "  or a watcher such as earlyoom or systemd-oomd",
        ]
    if lost.cause == "crashed" and lost.running:
        return [f"python -X dev -m pytest -n0 {running}", "  prints the stack (faulthandler)"]
    if lost.cause == "exited" and lost.running:
        return [f"pytest -n0 -s {running}", "  something calls os._exit, or exit in C code"]
    if lost.cause == "ended":
        return ["find out what sent the signal: a time-out of the CI service, or a user"]
    if lost.cause == "disconnected":
        return ["find out what closed the standard input or output of the worker"]
    return []
