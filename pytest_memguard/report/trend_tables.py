"""The history as text: tables over commits, lines of blocks, and changes of level."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import Final

from pytest_memguard.escapes import one_line
from pytest_memguard.model.past_runs import (
    STEP_FLOOR_BYTES,
    STEP_LEAST_VALUES,
    STEP_SHARE,
    ChangePoint,
    Commit,
    PastReading,
    PastRun,
    Point,
    Trend,
)
from pytest_memguard.report.table import plain_table
from pytest_memguard.sizes import MIB, format_mib, format_size

BLOCKS: Final = "▁▂▃▄▅▆▇█"
ASCII: Final = "_.-=+*#@"
"""For terminals without block characters."""


def sparkline(values: Sequence[float | None], signs: str = BLOCKS) -> str:
    """Return a line with a character for each value, the higher the larger the value.

    A change too small to be a step does not fill the whole height.

    Args:
        values: the values, in order; ``None`` leaves a gap.
        signs: the characters, from the lowest to the highest.
    """
    known = [value for value in values if value is not None]
    if not known:
        return ""
    low, high = min(known), max(known)
    span = max(high - low, STEP_SHARE * high, STEP_FLOOR_BYTES)
    top = len(signs) - 1
    return "".join(
        " " if value is None else signs[min(top, int((value - low) / span * len(signs)))]
        for value in values
    )


def trend_section(trend: Trend, signs: str = BLOCKS) -> list[str]:
    """Return the lines of one test: a table over commits, a line of blocks, and its steps."""
    rows = [_row(point) for point in trend.points]
    values = [point.value for point in trend.points]
    known = [value for value in values if value is not None]
    lines = [
        one_line(f"{trend.nodeid} ({trend.environment})"),
        plain_table(_HEADERS, rows, left=3),
        "",
    ]
    if known:
        span = f"{format_mib(min(known))} to {format_mib(max(known))} MiB"
        lines.append(f"Peaks: {sparkline(values, signs)} ({span})")
    lines += [
        one_line(f"Level {_step(step)} at {_place(point)}") for point, step in trend.steps
    ]
    if not trend.steps:
        lines.append(_no_step(trend))
    left_out = len(values) - len(known)
    if left_out:
        lines.append(
            f"{many(left_out, 'commit')} left out: the test did not pass, or its peak is not "
            "known well enough"
        )
    return lines


_HEADERS: Final = (
    "Commit",
    "Branch",
    "Date",
    "Runs",
    "Peak MiB",
    "After MiB",
    "Leak",
    "Outcome",
)


def _row(point: Point) -> list[str]:
    last = point.readings[-1]
    growths = [r.growth for r in point.readings if r.growth is not None]
    leaks = [r.leak for r in point.readings if r.leak]
    after = f"{median(growths) / MIB:+.1f}" if growths else "-"
    return [
        commit_text(point.run),
        point.run.commit.branch or "-",
        point.run.ended[:10],
        str(len(point.readings)),
        format_mib(point.value) if point.value is not None else _raw(last),
        "+0.0" if after == "-0.0" else after,
        leaks[-1] if leaks else "-",
        f"{last.outcome} ({why})" if (why := last.finding or last.death) else last.outcome,
    ]


def _raw(reading: PastReading) -> str:
    """Return a peak that is not judged, with its bound."""
    if reading.peak is None or reading.ceiling is None:
        return "-"
    if reading.ceiling > reading.peak:
        return f"{format_mib(reading.peak)} (<= {format_mib(reading.ceiling)})"
    return format_mib(reading.peak)


def commit_text(run: PastRun) -> str:
    """Return a commit's short name, with a plus sign if there were uncommitted changes."""
    commit: Commit = run.commit
    if not commit.name:
        return f"run {run.number}"
    return f"{commit.name[:9]}{'+' if commit.dirty else ''}"


def _place(point: Point) -> str:
    run = point.run
    words = [run.commit.branch, run.ended[:10]]
    return f"{commit_text(run)} ({', '.join(word for word in words if word)})"


def _step(step: ChangePoint) -> str:
    verb = "rose" if step.after > step.before else "fell"
    share = f" ({step.share:+.0%})" if step.before else ""
    size = format_size(abs(step.after - step.before))
    levels = f"from {format_mib(step.before)} to {format_mib(step.after)} MiB"
    return f"{verb} by {size}{share}, {levels},"


def _no_step(trend: Trend) -> str:
    if trend.judged < STEP_LEAST_VALUES:
        return (
            f"{many(trend.judged, 'commit')}: too few to tell a step of the level from "
            f"chance, which takes {STEP_LEAST_VALUES} and more"
        )
    return f"No step of the level in {trend.judged} commits"


def overview(runs: Sequence[PastRun], stepped: Sequence[Trend], top: int) -> list[str]:
    """Return the tests whose level changed last, and the latest runs.

    Args:
        runs: the runs, in order.
        stepped: the tests whose level changed.
        top: rows of each table.
    """
    environments = {run.environment for run in runs}
    newest = sorted(stepped, key=lambda trend: trend.nodeid)
    newest.sort(key=lambda trend: trend.steps[-1][0].run.ended, reverse=True)
    rows = [_stepped_row(trend, with_place=len(environments) > 1) for trend in newest[:top]]
    lines = [f"No test's level stepped in {many(len(runs), 'run')}."]
    if rows:
        lines = [f"Tests whose level stepped in the last {many(len(runs), 'run')}:"]
        headers = ["Test", "Commit", "Branch", "Date", "From MiB", "To MiB", "Change"]
        lines.append(plain_table(headers, rows, left=4))
    if len(newest) > top:
        lines.append(f"({len(newest) - top:,} more; --top N shows more)")
    lines += ["", "Latest runs:"]
    headers = ["Run", "Ended (UTC)", "Commit", "Branch", "Place", "Tests", "Status"]
    lines.append(plain_table(headers, [_run_row(run) for run in runs[: -top - 1 : -1]], left=5))
    return lines


def _stepped_row(trend: Trend, *, with_place: bool) -> list[str]:
    point, step = trend.steps[-1]
    name = f"{trend.nodeid} ({trend.environment})" if with_place else trend.nodeid
    return [
        name,
        commit_text(point.run),
        point.run.commit.branch or "-",
        point.run.ended[:10],
        format_mib(step.before),
        format_mib(step.after),
        f"{step.share:+.0%}" if step.before else "-",
    ]


def _run_row(run: PastRun) -> list[str]:
    return [
        str(run.number),
        run.ended[:16].replace("T", " "),
        commit_text(run) if run.commit.name else "-",
        run.commit.branch or "-",
        run.environment,
        f"{run.tests:,}",
        f"{run.status}, {run.aborted}" if run.aborted else str(run.status),
    ]


def many(count: int, noun: str) -> str:
    """Return a number of things in words."""
    return f"1 {noun}" if count == 1 else f"{count:,} {noun}s"
