"""What there is to say about tests that shared the memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from pytest_memguard.escapes import one_line
from pytest_memguard.model.admission import SMALL, Admission, ParallelRun, Wait
from pytest_memguard.sizes import format_size

_NOT_RECORDED: Final = "no need is recorded: the first test without one runs alone"


def header_lines(run: ParallelRun, recorded: Mapping[str, int]) -> Iterator[str]:
    """Yield the lines at the start of the run.

    Args:
        run: how much there is to share.
        recorded: number of tests whose need is recorded, for each source.
    """
    yield f"parallel: {format_size(run.size)} for tests and workers ({run.source})"
    if run.reason:
        yield f"parallel: {run.reason}"
    known = ", ".join(f"{_count(tests)} by {source}" for source, tests in recorded.items())
    yield f"parallel: needs: {known}" if known else f"parallel: {_NOT_RECORDED}"


def waiting_line(worker: str, nodeid: str, wait: Wait, size: int) -> str:
    """Return the line for a test that has been waiting for a while.

    Args:
        worker: the worker that would run it; empty without one.
        nodeid: the test.
        wait: what it waits for.
        size: bytes that there are.
    """
    taken = f"{format_size(wait.taken)} of {format_size(size)} taken"
    if wait.elsewhere:
        taken += f", {format_size(wait.elsewhere)} by other runs"
    start = f"[{worker}] " if worker else ""
    return one_line(f"{start}waits for {format_size(wait.wanted)}: {nodeid} ({taken})")


def status_text(admission: Admission) -> str:
    """Return what stands behind the status of a test that has waited."""
    return f"(waited {admission.waited:.1f} s)"


def summary_lines(run: ParallelRun) -> Iterator[str]:
    """Yield the lines for the end of the run."""
    yield f"parallel: {format_size(run.size)} for tests and workers ({run.source})"
    rows = [("waited", _waited(run)), ("elsewhere", _elsewhere(run)), ("needs", _needs(run))]
    rows += [("real sum", _real(run))]
    rows += [("exceeded", _exceeded(run)), ("try", _advice(run))]
    for name, texts in rows:
        for title, text in zip((name, *[""] * len(texts)), texts, strict=False):
            yield f"  {title:<9} {text}"


def _waited(run: ParallelRun) -> Sequence[str]:
    if not run.waited:
        return ["no test"]
    longest = run.waited[0]
    where = f" in {longest.worker}" if longest.worker else ""
    sums = f"{_count(len(run.waited))}, {run.seconds:.1f} s in all"
    why = f"for {format_size(longest.need.size)}, {longest.need.source}"
    if longest.need.size < SMALL:
        why = "until another test had shown what tests of this run need"
    return [f"{sums}; longest {longest.seconds:.1f} s{where}:", longest.nodeid, why]


def _elsewhere(run: ParallelRun) -> Sequence[str]:
    if not run.elsewhere:
        return []
    return [f"{format_size(run.elsewhere)} at most in other runs, while tests waited"]


def _needs(run: ParallelRun) -> Sequence[str]:
    if not run.needs:
        return ["no test was large enough to ask"]
    levels = format_size(run.levels)
    return [f"{format_size(run.needs)} at most, beside {levels} that the processes held"]


def _real(run: ParallelRun) -> Sequence[str]:
    if not run.real:
        return [f"not measured: {run.real_is}"]
    over = f", {format_size(run.real - run.size)} too much" if run.real > run.size else ""
    return [f"{format_size(run.real)} at most ({run.real_is}){over}"]


def _exceeded(run: ParallelRun) -> Sequence[str]:
    if not run.exceeded:
        return []
    worst = run.exceeded[0]
    more = "" if len(run.exceeded) == 1 else ", above all"
    need = worst.need
    return [
        f"{_count(len(run.exceeded))} used far more than counted{more}:",
        worst.nodeid,
        f"{format_size(worst.used)} instead of {format_size(need.size)}, {need.source}",
    ]


def _advice(run: ParallelRun) -> Sequence[str]:
    advice = []
    if run.levels > run.size / 2:
        advice.append("fewer workers (-n): the processes alone held more than half of it")
    if run.exceeded:
        advice.append("declare what these tests need: @pytest.mark.mem_needs")
    return advice


def _count(tests: int) -> str:
    return "1 test" if tests == 1 else f"{tests:,} tests"
