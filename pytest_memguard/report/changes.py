"""The result of a comparison as text: a table of the changes, and the text of a regression."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from heapq import nsmallest
from typing import Final

from pytest_memguard.escapes import one_line
from pytest_memguard.model.baselines import Change, ChangeKind, EnvironmentKey, LineEntry
from pytest_memguard.model.metrics import metric_named
from pytest_memguard.report.table import aligned_table
from pytest_memguard.sizes import format_mib, format_size

_ORDER: Final[tuple[ChangeKind, ...]] = (
    "regression",
    "undecided",
    "improvement",
    "new",
    "gone",
)
CHANGE_HEADERS: Final = ("Test", "What", "Before MiB", "Now MiB", "Change", "", "Result")
_ALIGN: Final = ("left", "left", "right", "right", "right", "right", "left")
_PLURAL: Final = {
    "regression": "regressions",
    "undecided": "undecided",
    "improvement": "improvements",
    "new": "new",
    "gone": "gone",
    "same": "the same",
}


def environment_text(environment: EnvironmentKey) -> str:
    """Return an environment in words: "CPython 3.11 on Linux x86_64"."""
    where = f"{environment.system} {environment.machine}".strip()
    return f"{environment.implementation} {environment.python} on {where}"


def metric_text(metric: str) -> str:
    """Return what a metric counts, in words: "peak RSS"."""
    return metric_named(metric).noun


def changes_table(changes: Iterable[Change], top: int = 0) -> str:
    """Return a table with a line for each change, the worst first, then by size.

    Args:
        changes: of any kind, in any order; only those that are shown are kept in memory.
        top: the number of lines; 0 shows all.
    """
    total = 0

    def counted() -> Iterator[Change]:
        nonlocal total
        for change in changes:
            total += change.kind != "same"
            yield change

    shown = worst_first(counted(), top)
    if not shown:
        return ""
    table = aligned_table(CHANGE_HEADERS, [change_cells(change) for change in shown], _ALIGN)
    more = total - len(shown)
    return f"{table}\n({more:,} more)" if more else table


def worst_first(changes: Iterable[Change], top: int = 0) -> list[Change]:
    """Return everything that has changed, the worst first, then by size.

    Args:
        changes: of any kind, in any order.
        top: the number of changes to keep; 0 keeps all.
    """
    changed = (change for change in changes if change.kind != "same")
    return nsmallest(top, changed, key=_worst) if top else sorted(changed, key=_worst)


def _worst(change: Change) -> tuple[int, int, str, str]:
    moved = abs(change.now - change.before)
    return _ORDER.index(change.kind), -moved, change.nodeid, _what(change)


def change_cells(change: Change) -> list[str]:
    """Return the cells of a table: test, subject, before, now, difference and kind."""
    difference, percent = "", ""
    if change.kind not in {"new", "gone"}:
        moved = change.now - change.before
        difference = f"{'+' if moved >= 0 else '-'}{_amount(change, abs(moved))}"
        percent = f"{moved / change.before:+.0%}" if change.before > 0 else ""
    return [
        change.nodeid,
        _what(change),
        "-" if change.kind == "new" else _amount(change, change.before),
        "-" if change.kind == "gone" else _amount(change, change.now),
        difference,
        percent,
        change.kind,
    ]


def _what(change: Change) -> str:
    """Return what was compared: "peak RSS", "stage load"."""
    if change.subject == "peak":
        return metric_text(change.environment.metric)
    return f"stage {change.stage}" if change.subject == "stage" else change.subject


def _amount(change: Change, size: int) -> str:
    """Return a number in MiB, as the column says, or with its unit if that is another one."""
    if change.subject == "leak":
        return f"{format_size(size)} a call"
    metric = metric_named(change.environment.metric)
    return format_mib(size) if metric.is_memory else metric.amount(size)


def counts_line(changes: Sequence[Change]) -> str:
    """Return how many tests there are of each kind; a test counts by its worst change."""
    order = (*_ORDER, "same")
    worst: dict[str, ChangeKind] = {}
    for change in changes:
        had = worst.get(change.nodeid, "same")
        worst[change.nodeid] = min(change.kind, had, key=order.index)
    counts = [
        f"{count:,} {kind if count == 1 and kind != 'same' else _PLURAL[kind]}"
        for kind in order
        if (count := sum(1 for one in worst.values() if one == kind))
    ]
    tests = "1 test" if len(worst) == 1 else f"{len(worst):,} tests"
    return f"{tests}: {', '.join(counts)}" if counts else "no test"


def change_headline(change: Change) -> str:
    """Return one line: the sentence, the line that grew most, and the kind."""
    grew = ""
    if change.lines:
        was, now = change.lines[0]
        before = f"from {format_size(was.size)}" if was is not None else "from nothing"
        grew = f"; {_place(now)} grew most, {before} to {format_size(now.size)}"
    return one_line(f"{change.text}{grew} ({change.kind})")


def regression_text(changes: Sequence[Change]) -> str:
    """Return the text of a test with regressions: a line for each, then the lines that grew.

    Args:
        changes: the regressions of one test.
    """
    parts = ["\n".join(change_headline(change) for change in changes)]
    lines = next((change.lines for change in changes if change.lines), ())
    if lines:
        parts.append("Lines that grew:\n" + grown_table(lines))
    return "\n\n".join(parts)


def grown_table(lines: Sequence[tuple[LineEntry | None, LineEntry]]) -> str:
    """Return a table of lines that grew, before and now."""
    rows = [
        [
            format_mib(was.size) if was is not None else "-",
            format_mib(now.size),
            f"+{format_mib(now.size - (was.size if was is not None else 0))}",
            now.function,
            _file(now),
        ]
        for was, now in lines
    ]
    headers = ("Before MiB", "Now MiB", "Change", "Function", "Line")
    return aligned_table(headers, rows, ["right", "right", "right", "left", "left"])


def _place(line: LineEntry) -> str:
    return f"{line.function}, {_file(line)},"


def _file(line: LineEntry) -> str:
    return f"{line.file}:{line.line}" if line.line else line.file
