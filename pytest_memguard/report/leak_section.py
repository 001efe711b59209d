"""The section ``leaks`` at the end of a run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from pytest_memguard.escapes import one_line
from pytest_memguard.model.leak_sizes import (
    LISTED_GROWTH,
    is_worth_listing,
)
from pytest_memguard.model.leaks import (
    BYTE_SIGNALS,
    KnownLeak,
    LeakReading,
    LeakState,
    Rate,
    Signal,
    ignored_by,
)
from pytest_memguard.model.results import Outcome
from pytest_memguard.report.leak_text import kept_text, leak_line
from pytest_memguard.sizes import format_size

_SHOWN = 20
_LEAST_KEPT = 0.1


def leaks_section(
    outcomes: Iterable[Outcome],
    known: Mapping[str, KnownLeak],
    ignore: Sequence[str] = (),
) -> list[str]:
    """Return the lines of the section; none if no test was checked.

    Args:
        outcomes: the results of all tests; read once.
        known: leaks accepted before, by fingerprint.
        ignore: the patterns of ``mem_leak_ignore``.
    """
    of_leaks = [outcome for outcome in outcomes if outcome.leak or outcome.leak_skipped]
    checked = [outcome for outcome in of_leaks if outcome.leak is not None]
    skipped = [outcome for outcome in of_leaks if outcome.leak_skipped]
    if not checked and not skipped:
        return []
    lines = [_counts(checked, len(skipped)), *_groups(checked), *_kept(checked)]
    lines += _some(_reasons(_in_state(checked, "undecided")), "undecided")
    lines += _settling(_in_state(checked, "settling"))
    lines += _clean(_in_state(checked, "clean"))
    lines += _some(
        [f"left out: {outcome.nodeid}: {outcome.leak_skipped}" for outcome in skipped],
        "left out",
    )
    lines += [_used(pattern, checked) for pattern in ignore]
    parts = [part for o in checked if o.leak is not None for part in o.leak.parts]
    seen = {part.diagnosis.fingerprint for part in parts if part.diagnosis is not None}
    tests = {outcome.nodeid for outcome in checked}
    gone = [
        leak
        for name, leak in sorted(known.items())
        if name not in seen and tests.intersection(leak.tests)
    ]
    if gone:
        lines += [
            f"known, but not seen in this run: {leak.fingerprint} "
            f"({leak.holder or leak.line}){_called_now(leak, checked)}"
            for leak in gone
        ]
    return [one_line(line) for line in lines]


def _in_state(checked: Sequence[Outcome], state: LeakState) -> list[tuple[str, LeakReading]]:
    """Return the tests with one verdict, with their readings."""
    return [(o.nodeid, o.leak) for o in checked if o.leak and o.leak.verdict.state == state]


def _reasons(readings: Sequence[tuple[str, LeakReading]]) -> list[str]:
    return [
        f"{reading.verdict.state}: {nodeid}: {reading.verdict.reason}"
        for nodeid, reading in readings
    ]


def _settling(readings: Sequence[tuple[str, LeakReading]]) -> list[str]:
    """Return the settling tests that are worth a line, and the number of others."""
    listed = [(nodeid, reading) for nodeid, reading in readings if is_worth_listing(reading)]
    lines = _some(_reasons(listed), "settling")
    others = len(readings) - len(listed)
    if others:
        many = "1 test" if others == 1 else f"{others} tests"
        heap, pages = (format_size(LISTED_GROWTH[signal]) for signal in ("C heap", "USS"))
        least = f"{LISTED_GROWTH['blocks']:,} blocks, C heap {heap}, USS {pages}"
        lines.append(f"settling: {many} grew by less than {least}, then no more")
    return lines


def _clean(readings: Sequence[tuple[str, LeakReading]]) -> list[str]:
    """Return in how many calls nothing grew: growth in one of many calls may need more."""
    calls = [reading.verdict.calls for _, reading in readings if reading.verdict.calls > 1]
    if not calls:
        return []
    over = f"{min(calls)}" if min(calls) == max(calls) else f"{min(calls)} to {max(calls)}"
    more = "growth in one of many calls takes more (mem_leak_check(calls=...))"
    return [f"clean: nothing grew in {over} calls; {more}"]


def _called_now(leak: KnownLeak, checked: Sequence[Outcome]) -> str:
    """Return the present fingerprints of a known leak, from the tests that showed it."""
    names = {
        outcome.leak.diagnosis.fingerprint
        for outcome in checked
        if outcome.nodeid in leak.tests and outcome.leak is not None and outcome.leak.diagnosis
    } - {""}
    return f"; its tests show {', '.join(sorted(names))} now" if names else ""


def _used(pattern: str, checked: Sequence[Outcome]) -> str:
    reason = ignored_by("mem_leak_ignore", pattern)
    readings = [o.leak for o in checked if o.leak is not None]
    tests = sum(any(part.accepted == reason for part in r.parts) for r in readings)
    many = "1 test" if tests == 1 else f"{tests} tests"
    used = f"used for {many}" if tests else "not used"
    return f"pattern {pattern!r} of mem_leak_ignore: {used}"


def _counts(checked: Sequence[Outcome], skipped: int) -> str:
    states = Counter(outcome.leak.verdict.state for outcome in checked if outcome.leak)
    leaking = [o.leak for o in checked if o.leak and o.leak.verdict.state == "leaking"]
    accepted = sum(not leak.fails for leak in leaking)
    counts = [
        f"{states[state]} {state}"
        for state in ("clean", "settling", "undecided", "leaking")
        if states[state] or state in {"clean", "leaking"}
    ]
    if accepted:
        counts[-1] += f" ({accepted} of them accepted)"
    if skipped:
        counts.append(f"{skipped} left out")
    seconds = sum(outcome.leak.seconds for outcome in checked if outcome.leak)
    calls = sum(outcome.leak.calls for outcome in checked if outcome.leak)
    many = "1 test" if len(checked) == 1 else f"{len(checked)} tests"
    return f"{many} checked for leaks: {', '.join(counts)}; {calls:,} calls in {seconds:.1f} s"


Leak = tuple[Outcome, LeakReading]
"""A test's result, and one of its leaks."""


def leaks_by_name(outcomes: Sequence[Outcome]) -> dict[str, list[Leak]]:
    """Return leaks by fingerprint, or by node id if they have none, each with its tests."""
    groups: dict[str, list[Leak]] = {}
    for outcome in outcomes:
        leak = outcome.leak
        if leak is None or leak.verdict.state != "leaking":
            continue
        for part in leak.parts:
            name = part.diagnosis.fingerprint if part.diagnosis is not None else ""
            groups.setdefault(name or outcome.nodeid, []).append((outcome, part))
    return groups


def _groups(checked: Sequence[Outcome]) -> list[str]:
    """Return the lines for leaks, each with the tests that show it."""
    lines = []
    for name, group in leaks_by_name(checked).items():
        outcome, leak = group[0]
        reasons = [part.accepted for _, part in group]
        alike = len(set(reasons)) == 1
        accepted = f"; {leak.accepted}" if alike and leak.accepted else ""
        tests = "1 test" if len(group) == 1 else f"{len(group)} tests"
        label = f"{name}, {tests}" if name != outcome.nodeid else tests
        lines.append(f"leaking: {label}: {leak_line(leak)}{accepted}")
        lines += [
            f"  {outcome.nodeid}" + (f": {reason}" if reason and not alike else "")
            for (outcome, _), reason in list(zip(group, reasons, strict=True))[:_SHOWN]
        ]
        if len(group) > _SHOWN:
            lines.append(f"  ... and {len(group) - _SHOWN} more")
    return lines


def _kept(checked: Sequence[Outcome]) -> list[str]:
    """Return the lines for what the test runner keeps of each test, which is not counted."""
    most: dict[str, Counter[Signal]] = {}
    tests: Counter[str] = Counter()
    for outcome in checked:
        for kept in outcome.leak.kept if outcome.leak is not None else ():
            rates = most.setdefault(kept.owner, Counter())
            for signal, per_call in kept.rates:
                rates[signal] = max(rates[signal], per_call)  # type: ignore[assignment]
            tests[kept.owner] += 1
    lines = []
    for owner, rates in sorted(most.items()):
        amounts = [
            kept_text(Rate(signal=signal, per_call=per_call, low=per_call, high=per_call))
            for signal, per_call in rates.items()
            if signal not in BYTE_SIGNALS and per_call >= _LEAST_KEPT
        ]
        many = "1 test" if tests[owner] == 1 else f"up to that in {tests[owner]} tests"
        what = ", ".join(amounts) or "less than a block"
        lines.append(f"kept by {owner}: {what} per call, not counted ({many})")
    return lines


def _some(lines: list[str], state: str) -> list[str]:
    if len(lines) <= _SHOWN:
        return lines
    return [*lines[:_SHOWN], f"... and {len(lines) - _SHOWN} more {state}"]
