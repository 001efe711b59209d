"""What a leaking test says, and the section ``leaks`` at the end of a run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from pytest_memguard.escapes import one_line
from pytest_memguard.leaks import (
    BYTE_SIGNALS,
    LISTED_GROWTH,
    Blame,
    KnownLeak,
    LeakReading,
    LeakState,
    Rate,
    RetentionPath,
    Signal,
    bytes_per_call,
    ignored_by,
    is_worth_listing,
    may_be_python_memory,
)
from pytest_memguard.model import Outcome
from pytest_memguard.report.table import leak_line_table, rounds_table, type_table
from pytest_memguard.sizes import format_size

_NOT_BLAMED = (
    "Nobody looked into it (--mem-leak-blame=none). Run this test without that to see who "
    "holds what, and to accept the leak by its fingerprint; or leave the test out with "
    "@pytest.mark.mem_no_leak_check(reason=...)."
)
_ROUNDS = 8
_IN_BYTES = 10_000
_ALL = 0.8
"""Share of what stays that lines have to account for; allocators round up."""
_SHOWN = 20
_LEAST_KEPT = 0.1
_OF_MEMORY: frozenset[Signal] = BYTE_SIGNALS | {"blocks"}
_UNITS = {
    "blocks": "block",
    "open files": "open file",
    "Python threads": "Python thread",
    "native threads": "native thread",
    "child processes": "child process",
    "asyncio tasks": "asyncio task",
    "uncollectable objects": "uncollectable object",
}


def leak_line(reading: LeakReading) -> str:
    """The verdict in one line, with its name: "keeps 3 blocks per call (leaking)"."""
    return f"{leak_sentence(reading)} ({reading.verdict.state})"


def leak_sentence(reading: LeakReading) -> str:
    """The verdict in one line: "keeps 3 blocks, 216 bytes per call, in each of 24 calls"."""
    verdict = reading.verdict
    if verdict.state != "leaking":
        reason = f": {verdict.reason}" if verdict.reason else ""
        return one_line(f"{verdict.state} after {verdict.calls} calls{reason}")
    kept = [_kept_of(rate) for rate in verdict.rates if rate.signal not in BYTE_SIGNALS]
    size = bytes_per_call(reading)
    if size is not None:
        kept.append(f"{size:,.0f} bytes" if size < _IN_BYTES else format_size(size))
    seldom = all(rate.per_call < 0.9 for rate in verdict.rates)
    over = f"measured over {verdict.calls} calls"
    where = f", {over}" if seldom else f", in each of {verdict.calls} calls"
    who = _who(reading.blame)
    return one_line(f"keeps {', '.join(kept)} per call{where}{who}")


def _kept_of(rate: Rate) -> str:
    number = _number(rate.per_call)
    unit = _UNITS[rate.signal]
    if number == "1":
        return f"1 {unit}"
    plural = "processes" if unit == "child process" else f"{unit}s"
    return f"{number} {'child processes' if plural == 'processes' else plural}"


def _who(blame: Blame | None) -> str:
    if blame is None:
        return ""
    if blame.path is not None and blame.path.holder:
        return f"; held by {blame.path.holder}"
    if blame.lines:
        line = blame.lines[0]
        place = f", {line.file}:{line.line}" if line.line else ""
        done = "allocated" if line.count else "left"
        return f"; {done} by {line.function}{place}"
    return ""


def leak_text(reading: LeakReading, explained: Mapping[str, str] | None = None) -> str:
    """The whole text of a failure.

    Args:
        reading: what was found.
        explained: tests under which leaks were explained already, by fingerprint.
    """
    told = explained or {}
    if not reading.more:
        return _one_leak(reading, told, _rounds(reading, [reading]))
    parts = [_headline(reading), *_rounds(reading, reading.parts)]
    for number, part in enumerate(reading.parts, start=1):
        title = f"Leak {number} of {len(reading.parts)}: {leak_line(part)}"
        if part.accepted:
            parts.append(one_line(f"{title}; {part.accepted}"))
        else:
            parts.append(_one_leak(part, told, [], title=title))
    return "\n\n".join(parts)


def _headline(reading: LeakReading) -> str:
    """All leaks of a test in one line."""
    told = [leak_sentence(part) for part in reading.parts]
    return one_line(f"{len(told)} leaks: {'; '.join(told)} (leaking)")


def _rounds(reading: LeakReading, parts: Sequence[LeakReading]) -> list[str]:
    """The table of the rounds, with the signals that any of the leaks shows in."""
    signals = list(dict.fromkeys(rate.signal for part in parts for rate in part.verdict.rates))
    rounds = reading.verdict.rounds
    if not rounds or not signals:
        return []
    shown = rounds[-_ROUNDS:]
    more = len(rounds) - len(shown)
    table = rounds_table(shown, more + 1, signals)
    return [table if not more else f"{table}\n(the last {_ROUNDS} of {_ROUNDS + more} rounds)"]


def _one_leak(
    reading: LeakReading, explained: Mapping[str, str], rounds: list[str], title: str = ""
) -> str:
    """The text of one leak, or where it is."""
    blame, verdict = reading.blame, reading.verdict
    title = title or leak_line(reading)
    known = explained.get(blame.fingerprint, "") if blame is not None else ""
    if known:
        where = one_line(f"This leak is explained under {known}.")
        return f"{one_line(title)}\n\n{where}"
    parts = [one_line(title), *rounds]
    rates = [_interval(rate) for rate in verdict.rates]
    if rates:
        parts.append("\n".join(rates))
    if blame is not None:
        parts += _blamed(blame, [rate.signal for rate in verdict.rates])
    elif verdict.state == "leaking":
        parts.append(_NOT_BLAMED)
    return "\n\n".join(parts)


def _interval(rate: Rate) -> str:
    in_bytes = rate.signal in BYTE_SIGNALS
    mean, low, high = (_number(n) for n in (rate.per_call, rate.low, rate.high))
    unit = "bytes per call" if in_bytes else "per call"
    name = rate.signal if in_bytes else rate.signal.capitalize()
    return f"{name}: {mean} {unit}, 95 % interval {low} to {high}"


def _number(value: float) -> str:
    return f"{value:.3g}" if abs(value) < 100 else f"{value:,.0f}"


def _held_by_nobody(blame: Blame, signals: Sequence[Signal]) -> str:
    """What it means that nothing was found to hold it."""
    if blame.is_cut_short:
        return "What holds it was not found in the time there was."
    if not _OF_MEMORY.intersection(signals):
        return "No Python object holds it."
    if may_be_python_memory(blame, signals):
        return (
            "No Python object was found to hold it: it is text, bytes or numbers inside of "
            "something, or C code has lost it."
        )
    return "No Python object holds it: the memory is native."


def _blamed(blame: Blame, signals: Sequence[Signal]) -> list[str]:
    parts = []
    if blame.path is not None:
        parts.append(path_text(blame.path))
    elif not blame.types and blame.calls:
        parts.append(_held_by_nobody(blame, signals))
    if blame.lines:
        table = leak_line_table(blame.lines, blame.calls)
        what = (
            "Lines that leave something behind"
            if any(line.left for line in blame.lines)
            else "Lines whose allocations stay"
        )
        parts.append(f"{what}, over {blame.calls} more calls:\n{table}")
        parts += _unaccounted(blame)
    if blame.types:
        table = type_table(blame.types, blame.calls)
        parts.append(f"Objects that become more:\n{table}")
    parts += [one_line(f"Note: {note}.") for note in blame.notes]
    parts.append(one_line(_advice(blame)))
    return parts


def _unaccounted(blame: Blame) -> list[str]:
    """That the lines do not account for all that stays, if so."""
    lines = sum(line.size for line in blame.lines) / blame.calls
    if blame.per_call is None or lines >= _ALL * blame.per_call:
        return []
    if not lines and any(line.left for line in blame.lines):
        return []  # what the lines leave behind was read as a whole, not block by block
    if blame.per_call < _IN_BYTES:
        known, whole = f"{lines:,.0f}", f"{blame.per_call:,.0f} bytes"
    else:
        known, whole = format_size(lines), format_size(blame.per_call)
    return [f"The lines account for {known} of {whole} per call."]


def path_text(path: RetentionPath) -> str:
    """A retention path, from the root to the survivor."""
    text = one_line("Held by: " + " -> ".join(path.steps))
    return f"{text}\n{one_line(f'({path.remark})')}" if path.remark else text


def _advice(blame: Blame) -> str:
    if not blame.fingerprint:
        return "Leave the test out with @pytest.mark.mem_no_leak_check(reason=...) if need be."
    return (
        f"Fingerprint {blame.fingerprint}; --mem-leak-accept writes it to "
        ".memguard/leaks.json, and it fails no more."
    )


def leaks_section(
    outcomes: Iterable[Outcome],
    known: Mapping[str, KnownLeak],
    ignore: Sequence[str] = (),
) -> list[str]:
    """The lines of the section ``leaks``; none where no test was checked.

    Args:
        outcomes: every test; read once.
        known: leaks accepted before, by fingerprint.
        ignore: the patterns of ``mem_leak_ignore``.
    """
    of_leaks = [outcome for outcome in outcomes if outcome.leak or outcome.leak_skipped]
    checked = [outcome for outcome in of_leaks if outcome.leak is not None]
    skipped = [outcome for outcome in of_leaks if outcome.leak_skipped]
    if not checked and not skipped:
        return []
    lines = [_counts(checked, len(skipped)), *_groups(checked), *_kept(checked)]
    lines += _some(_reasons(_in_state(checked, "unclear")), "unclear")
    lines += _settling(_in_state(checked, "settling"))
    lines += _clean(_in_state(checked, "clean"))
    lines += _some(
        [f"left out: {outcome.nodeid}: {outcome.leak_skipped}" for outcome in skipped],
        "left out",
    )
    lines += [_used(pattern, checked) for pattern in ignore]
    parts = [part for o in checked if o.leak is not None for part in o.leak.parts]
    seen = {part.blame.fingerprint for part in parts if part.blame is not None}
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
    """The tests of one verdict, and what was found of each."""
    return [(o.nodeid, o.leak) for o in checked if o.leak and o.leak.verdict.state == state]


def _reasons(readings: Sequence[tuple[str, LeakReading]]) -> list[str]:
    return [
        f"{reading.verdict.state}: {nodeid}: {reading.verdict.reason}"
        for nodeid, reading in readings
    ]


def _settling(readings: Sequence[tuple[str, LeakReading]]) -> list[str]:
    """Those that are worth a line, and how many others there are."""
    told = [(nodeid, reading) for nodeid, reading in readings if is_worth_listing(reading)]
    lines = _some(_reasons(told), "settling")
    others = len(readings) - len(told)
    if others:
        many = "1 test" if others == 1 else f"{others} tests"
        heap, pages = (format_size(LISTED_GROWTH[signal]) for signal in ("C heap", "USS"))
        least = f"{LISTED_GROWTH['blocks']:,} blocks, C heap {heap}, USS {pages}"
        lines.append(f"settling: {many} grew by less than {least}, then no more")
    return lines


def _clean(readings: Sequence[tuple[str, LeakReading]]) -> list[str]:
    """What a verdict of clean can show at least: some growth comes in one of many calls."""
    calls = [reading.verdict.calls for _, reading in readings if reading.verdict.calls > 1]
    if not calls:
        return []
    over = f"{min(calls)}" if min(calls) == max(calls) else f"{min(calls)} to {max(calls)}"
    more = "growth in one of many calls takes more (mem_leak_check(calls=...))"
    return [f"clean: nothing grew in {over} calls; {more}"]


def _called_now(leak: KnownLeak, checked: Sequence[Outcome]) -> str:
    """What a known leak is called now, as far as its tests tell."""
    names = {
        outcome.leak.blame.fingerprint
        for outcome in checked
        if outcome.nodeid in leak.tests and outcome.leak is not None and outcome.leak.blame
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
        for state in ("clean", "settling", "unclear", "leaking")
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
"""A test, and one of its leaks."""


def leaks_by_name(outcomes: Sequence[Outcome]) -> dict[str, list[Leak]]:
    """The leaks by fingerprint, or by node id without one, each with its tests."""
    groups: dict[str, list[Leak]] = {}
    for outcome in outcomes:
        leak = outcome.leak
        if leak is None or leak.verdict.state != "leaking":
            continue
        for part in leak.parts:
            name = part.blame.fingerprint if part.blame is not None else ""
            groups.setdefault(name or outcome.nodeid, []).append((outcome, part))
    return groups


def _groups(checked: Sequence[Outcome]) -> list[str]:
    """Leaks by fingerprint, each with the tests that show it."""
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
    """What parts of the test runner keep of every test, which is not counted."""
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
        told = [
            _kept_of(Rate(signal=signal, per_call=per_call, low=per_call, high=per_call))
            for signal, per_call in rates.items()
            if signal not in BYTE_SIGNALS and per_call >= _LEAST_KEPT
        ]
        many = "1 test" if tests[owner] == 1 else f"up to that in {tests[owner]} tests"
        what = ", ".join(told) or "less than a block"
        lines.append(f"kept by {owner}: {what} per call, not counted ({many})")
    return lines


def _some(lines: list[str], state: str) -> list[str]:
    if len(lines) <= _SHOWN:
        return lines
    return [*lines[:_SHOWN], f"... and {len(lines) - _SHOWN} more {state}"]
