"""The text of a leaking test: what each call keeps, where it was allocated, what holds it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pytest_memguard.escapes import one_line
from pytest_memguard.model.leak_sizes import (
    bytes_per_call,
    may_be_python_memory,
)
from pytest_memguard.model.leaks import (
    BYTE_SIGNALS,
    Diagnosis,
    LeakReading,
    Rate,
    RetentionPath,
    Signal,
)
from pytest_memguard.report.leak_tables import leak_line_table, rounds_table, type_table
from pytest_memguard.sizes import format_number, format_size

_NOT_DIAGNOSED = (
    "Its cause was not looked for (--mem-leak-blame=none). Run this test without that option "
    "to see what holds the memory, and to accept the leak by its fingerprint; or leave the "
    "test out with @pytest.mark.mem_no_leak_check(reason=...)."
)
_HANDED_ON = (
    "{} gave hardly any memory back to malloc, so its library may keep it for reuse. It may "
    "have handed on memory that other lines took: a line here may keep nothing, and another "
    "what it took."
)
_ROUNDS = 8
_IN_BYTES = 10_000
_ALL = 0.8
"""Share of the growth that lines must account for; allocators round up."""
_NEAR = 0.15
"""So near to a whole number is what each call keeps, if its interval has that number."""
_SOME_BLOCKS = 0.5
"""So many blocks per call are worth a sentence."""
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
    """Return the verdict in one line, with its name: "keeps 3 blocks per call (leaking)"."""
    return f"{leak_sentence(reading)} ({reading.verdict.state})"


def leak_sentence(reading: LeakReading) -> str:
    """Return the verdict in one line.

    For example "keeps 3 blocks, 216 bytes per call, in each of 24 calls".
    """
    verdict = reading.verdict
    if verdict.state != "leaking":
        reason = f": {verdict.reason}" if verdict.reason else ""
        return one_line(f"{verdict.state} after {verdict.calls} calls{reason}")
    kept = [kept_text(rate) for rate in verdict.rates if rate.signal not in BYTE_SIGNALS]
    size = bytes_per_call(reading)
    if size is not None:
        kept.append(f"{size:,.0f} bytes" if size < _IN_BYTES else format_size(size))
    sparse = all(rate.per_call < 0.9 for rate in verdict.rates)
    over = f"{verdict.reason or 'measured'} over {verdict.calls} calls"
    where = over if sparse or verdict.reason else f"in each of {verdict.calls} calls"
    who = _who(reading.diagnosis)
    return one_line(f"keeps {', '.join(kept)} per call, {where}{who}")


def kept_text(rate: Rate) -> str:
    """Return how much of a signal each call keeps, in words: "3 blocks"."""
    number = format_number(_likely(rate))
    unit = _UNITS[rate.signal]
    if number == "1":
        return f"1 {unit}"
    plural = "processes" if unit == "child process" else f"{unit}s"
    return f"{number} {'child processes' if plural == 'processes' else plural}"


def _likely(rate: Rate) -> float:
    """Return the number of things that each call keeps: a whole one if it may well be that."""
    whole = round(rate.per_call)
    is_near = abs(rate.per_call - whole) <= _NEAR and rate.low <= whole <= rate.high
    return whole if whole and is_near else rate.per_call


def _who(diagnosis: Diagnosis | None) -> str:
    if diagnosis is None:
        return ""
    if diagnosis.path is not None and diagnosis.path.holder:
        return f"; held by {diagnosis.path.holder_words}"
    if diagnosis.pool:
        return f"; allocated by C function {diagnosis.pool}"
    if diagnosis.lines:
        line = diagnosis.lines[0]
        place = f"{line.file}:{line.line}" if line.line else ""
        done = "allocated" if line.count else "left"
        through = f", through {line.through}" if line.through else ""
        if not line.function:  # there is no source
            return f"; {done} at {place}{through}"
        return f"; {done} by {', '.join(filter(None, (line.function, place)))}{through}"
    return ""


def leak_text(reading: LeakReading, explained: Mapping[str, str] | None = None) -> str:
    """Return the whole text of a failure.

    Args:
        reading: the result of the leak check.
        explained: the test under which a leak was explained already, by fingerprint.
    """
    explained = explained or {}
    if not reading.more:
        return _one_leak(reading, explained, _rounds(reading, [reading]))
    parts = [_headline(reading), *_rounds(reading, reading.parts)]
    for number, part in enumerate(reading.parts, start=1):
        title = f"Leak {number} of {len(reading.parts)}: {leak_line(part)}"
        if part.accepted:
            parts.append(one_line(f"{title}; {part.accepted}"))
        else:
            parts.append(_one_leak(part, explained, [], title=title))
    return "\n\n".join(parts)


def _headline(reading: LeakReading) -> str:
    """Return all leaks of a test in one line, with what tells apart those of one line."""
    who = [_who(part.diagnosis) for part in reading.parts]
    sentences = [leak_sentence(part) for part in reading.parts]
    for number, part in enumerate(reading.parts):
        if who.count(who[number]) > 1 and part.diagnosis is not None:
            sentences[number] = one_line(f"{sentences[number]}{_beside(part.diagnosis)}")
    return f"{len(sentences)} leaks: {'; '.join(sentences)} (leaking)"


def _beside(diagnosis: Diagnosis) -> str:
    """Return what else a leak is known by: C function, type and fingerprint."""
    native = [name for line in diagnosis.lines[:1] for name in line.native[:1]]
    types = [growth.type for growth in diagnosis.types[:1]]
    known = [*native, *types, *filter(None, [diagnosis.fingerprint])]
    return f" ({', '.join(known)})" if known else ""


def _rounds(reading: LeakReading, parts: Sequence[LeakReading]) -> list[str]:
    """Return the table of rounds, with the signals in which any of the leaks shows."""
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
    """Return the text of one leak, or the test under which it is explained."""
    diagnosis, verdict = reading.diagnosis, reading.verdict
    title = title or leak_line(reading)
    known = explained.get(diagnosis.fingerprint, "") if diagnosis is not None else ""
    if known:
        where = one_line(f"This leak is explained under {known}.")
        return f"{one_line(title)}\n\n{where}"
    parts = [one_line(title), *rounds]
    rates = [_interval(rate) for rate in verdict.rates]
    if rates:
        parts.append("\n".join(rates))
    if diagnosis is not None:
        parts += _blamed(diagnosis, [rate.signal for rate in verdict.rates])
    elif verdict.state == "leaking":
        parts.append(_NOT_DIAGNOSED)
    return "\n\n".join(parts)


def _interval(rate: Rate) -> str:
    in_bytes = rate.signal in BYTE_SIGNALS
    mean, low, high = (format_number(n) for n in (rate.per_call, rate.low, rate.high))
    unit = "bytes per call" if in_bytes else "per call"
    name = rate.signal if in_bytes else rate.signal.capitalize()
    return f"{name}: {mean} {unit}, 95 % interval {low} to {high}"


def _without_holder(diagnosis: Diagnosis, signals: Sequence[Signal]) -> str:
    """Return the sentence for a leak of which no holder was found."""
    if diagnosis.is_cut_short:
        return "What holds it was not found in the time there was."
    if not _OF_MEMORY.intersection(signals):
        return "No Python object holds it."
    if may_be_python_memory(diagnosis, signals):
        return (
            "No Python object was found to hold it: it is text, bytes or numbers inside of "
            "something, or C code has lost it."
        )
    return "No Python object holds it: the memory is native."


def _blamed(diagnosis: Diagnosis, signals: Sequence[Signal]) -> list[str]:
    parts = []
    if diagnosis.path is not None:
        parts.append(path_text(diagnosis.path))
    elif diagnosis.is_cut_short or (not diagnosis.types and diagnosis.calls):
        parts.append(_without_holder(diagnosis, signals))
    if diagnosis.lines:
        table = leak_line_table(diagnosis.lines, diagnosis.calls)
        what = (
            "Lines that leave something behind"
            if any(line.left for line in diagnosis.lines)
            else "Lines whose allocations stay"
        )
        many = "1 more call" if diagnosis.calls == 1 else f"{diagnosis.calls} more calls"
        parts.append(f"{what}, over {many}:\n{table}")
        parts += _not_counted(diagnosis) if "blocks" in signals else []
        parts += _unaccounted(diagnosis)
    if diagnosis.pool:
        parts.append(one_line(_HANDED_ON.format(diagnosis.pool)))
    if diagnosis.types:
        table = type_table(diagnosis.types, diagnosis.calls)
        parts.append(f"Objects that become more:\n{table}")
    parts += [one_line(f"Note: {note}.") for note in diagnosis.notes]
    parts.append(one_line(_advice(diagnosis)))
    return parts


def _not_counted(diagnosis: Diagnosis) -> list[str]:
    """Return the sentence that lines have blocks which are not Python's as well, if so."""
    of_python = sum(line.of_python for line in diagnosis.lines) / diagnosis.calls
    others = sum(line.count for line in diagnosis.lines) / diagnosis.calls - of_python
    if min(of_python, others) < _SOME_BLOCKS:
        return []
    number = format_number(round(others, 1))
    whose = "C code's own memory, which Python does not count"
    return [f"Of these blocks, {number} per call are {whose}."]


def _unaccounted(diagnosis: Diagnosis) -> list[str]:
    """Return the sentence that lines account for only a part of the growth, if so."""
    lines = sum(line.size for line in diagnosis.lines) / diagnosis.calls
    if diagnosis.per_call is None or lines >= _ALL * diagnosis.per_call:
        return []
    if not lines and any(line.left for line in diagnosis.lines):
        return []  # the lines left resources, which are not counted in bytes
    if diagnosis.per_call < _IN_BYTES:
        known, whole = f"{lines:,.0f}", f"{diagnosis.per_call:,.0f} bytes"
    else:
        known, whole = format_size(lines), format_size(diagnosis.per_call)
    which = "lines"
    if diagnosis.more_lines:
        number = len(diagnosis.lines)
        which = f"{number} largest of {number + diagnosis.more_lines} lines"
    return [f"The {which} account for {known} of {whole} per call."]


def path_text(path: RetentionPath) -> str:
    """Return a retention path, from the root to the object that survived."""
    text = one_line("Held by: " + " -> ".join(path.steps))
    return f"{text}\n{one_line(f'({path.remark})')}" if path.remark else text


def _advice(diagnosis: Diagnosis) -> str:
    if not diagnosis.fingerprint:
        return "Leave the test out with @pytest.mark.mem_no_leak_check(reason=...) if need be."
    return (
        f"Fingerprint {diagnosis.fingerprint}; --mem-leak-accept writes it to "
        ".memguard/leaks.json, and it fails no more."
    )
