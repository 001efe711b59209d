"""The tables of the leak benchmark: which tool was right, how fast, and about what."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median

from manifest import Case
from tools import SILENT, Answer

Answers = Mapping[Case, Answer]
"""The answer of one tool."""
LEAKING = "leaking"


def confusion(tools: Mapping[str, Answers]) -> str:
    """How many of the leaks and of the innocent cases each tool was right about."""
    header = (
        "tool",
        "leaks found",
        "missed",
        "no verdict",
        "innocent passed",
        "flagged",
        "no verdict",
        "wrong",
    )
    rows = [(name, *_counts(answers)) for name, answers in tools.items()]
    return _table(header, rows)


def _counts(answers: Answers) -> tuple[str, ...]:
    cells = []
    for leaks in (True, False):
        states = [answer.state for case, answer in answers.items() if case.leaks is leaks]
        flagged, silent = states.count(LEAKING), states.count(SILENT)
        rest = len(states) - flagged - silent
        right, other = (flagged, rest) if leaks else (rest, flagged)
        cells += [f"{right} of {len(states)}", str(other), str(silent)]
    return (*cells, str(len(wrong(answers))))


def cost(tools: Mapping[str, Answers]) -> str:
    """Calls and milliseconds per verdict."""
    header = (
        "tool",
        "cases",
        "calls: median",
        "max",
        "ms: median",
        "max",
        "slowest",
    )
    return _table(
        header,
        [
            (f"{name}, {kind}", *cells)
            for name, answers in tools.items()
            for kind, leaks in ((LEAKING, True), ("innocent", False))
            if (cells := _costs(answers, leaks=leaks))
        ],
    )


def _costs(answers: Answers, *, leaks: bool) -> tuple[str, ...]:
    judged = {
        case: answer
        for case, answer in answers.items()
        if case.leaks is leaks and answer.state != SILENT
    }
    if not judged:
        return ()
    calls = [answer.calls or 0 for answer in judged.values()]
    times = {case.name: 1000 * (answer.seconds or 0) for case, answer in judged.items()}
    slowest = max(times, key=times.__getitem__)
    return (
        str(len(judged)),
        f"{median(calls):,.0f}",
        f"{max(calls):,}",
        f"{median(times.values()):,.0f}",
        f"{times[slowest]:,.0f}",
        slowest,
    )


def wrong(answers: Answers) -> list[tuple[Case, Answer]]:
    """The cases that a tool was not right about."""
    return [
        (case, answer)
        for case, answer in answers.items()
        if answer.state == SILENT or (answer.state == LEAKING) is not case.leaks
    ]


def mistakes(answers: Answers) -> str:
    """Those cases, a line for each."""
    rows = [
        ("leaks" if case.leaks else "innocent", case.name, answer.state, _short(answer.said))
        for case, answer in wrong(answers)
    ]
    return _table(("truth", "case", "verdict", "in its words"), rows)


def _short(text: str) -> str:
    return text if len(text) <= 100 else f"{text[:97]}..."


def line_right(case: Case, answer: Answer) -> bool:
    """Whether the first line it names in the case's own file is a marked one."""
    own = [line for file, line in answer.lines if Path(file).name == case.path.name]
    return bool(own) and own[0] in case.lines


def type_right(case: Case, answer: Answer) -> bool | None:
    """Whether the type is among those it names.

    Returns:
        ``None`` where no tool can know the type.
    """
    if not case.types:
        return None
    return any(case.in_full(name) in answer.types for name in case.types)


def holder_right(case: Case, answer: Answer) -> bool:
    """Whether the answer names the holder or an attribute of it, or rightly no holder."""
    return any(_is_or_belongs_to(answer.holder, case.in_full(name)) for name in case.holders)


def _is_or_belongs_to(name: str, holder: str) -> bool:
    if not holder or not name.startswith(holder):
        return name == holder
    rest = name[len(holder) :]
    return not rest or not (rest[0].isalnum() or rest[0] == "_")


CHECKS: Mapping[str, Callable[[Case, Answer], bool | None]] = {
    "line": line_right,
    "type": type_right,
    "holder": holder_right,
}
"""What the diagnosis of a leak that was found must get right."""


def diagnosis(answers: Answers) -> str:
    """How often line, type and holder of the leaks that were found are right, and where not."""
    found = {
        case: answer
        for case, answer in answers.items()
        if case.leaks and answer.state == LEAKING
    }
    totals, rows = [], []
    for what, check in CHECKS.items():
        judged = {case: check(case, answer) for case, answer in found.items()}
        known = [right for right in judged.values() if right is not None]
        totals.append((what, f"{sum(known)} of {len(known)}"))
        rows += [
            (what, case.name, _expected(what, case), _given(what, found[case]))
            for case, right in judged.items()
            if right is False
        ]
    tables = [_table(("blame", "right"), totals)]
    if rows:
        tables.append(_table(("wrong", "case", "expected", "given"), rows))
    return "\n\n".join(tables)


def _expected(what: str, case: Case) -> str:
    if what == "line":
        return ", ".join(map(str, sorted(case.lines)))
    names = case.types if what == "type" else case.holders
    return " or ".join(case.in_full(name) or "no holder" for name in names)


def _given(what: str, answer: Answer) -> str:
    if what == "holder":
        return answer.holder or "no holder"
    if what == "type":
        return _short(", ".join(answer.types)) or "none"
    places = [f"{Path(file).name}:{line}" for file, line in answer.lines]
    return _short(", ".join(places)) or "none"


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    lines.insert(1, ["-" * width for width in widths])
    return "\n".join(
        "  ".join(f"{cell:<{width}}" for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )
