"""The verdict on a watch in four parts: evidence, what grew, where to look, and afterwards."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Final

from pytest_memguard.escapes import one_line
from pytest_memguard.report.trend_tables import BLOCKS, many, sparkline
from pytest_memguard.report.watch_tables import (
    duration_text,
    process_table,
    recording_table,
)
from pytest_memguard.sizes import format_mib, format_size
from pytest_memguard.watch_levels import KEPT_SIGNALS, SIGNAL_NAMES, SIZE_SIGNALS, WatchSignal
from pytest_memguard.watches import DOUBTS, GrowthChange, Life, WatchRecord

_WIDTH: Final = 40
_IDLE_SHARE: Final = 0.001
"""Share of a core below which a program did nothing that a verdict could rest on."""
_PLACES: Final[dict[WatchSignal, str]] = {
    "rss": "what is kept: of a Python program, memray attach {pid} shows the lines that "
    "allocate it, and pytest --mem-leak-check of its code what keeps it",
    "fds": "files and sockets that are not closed: ls -l /proc/{pid}/fd",
    "threads": "threads that do not end: py-spy dump --pid {pid}",
    "connections": "connections that are not closed: ss -tnp | grep pid={pid}",
    "children": "children that are not waited for, or do not end: ps --ppid {pid}",
    **dict.fromkeys(
        KEPT_SIGNALS,
        "what JavaScript keeps, Buffers included: memguard watch --node --heap-snapshots "
        "writes two heap snapshots, and memguard heapdiff compares them",
    ),
}
_PAIR: Final = "what is kept: memguard heapdiff {} {}"


def growth_sentence(record: WatchRecord) -> str:
    """Return the verdict in a sentence, which names the program."""
    life = _judged(record)
    return one_line(f"process {life.pid} ({_short(life.command)}) {_state(record)}")


def _state(record: WatchRecord) -> str:
    growth = record.growth
    if growth.state == "growing":
        rates = "; ".join(f"{one.name} {one.rate_text()}" for one in growth.growing)
        return f"grows under load: {rates}"
    if growth.state == "undecided":
        return f"has no verdict: {DOUBTS[growth.doubt]}"
    return "is flat" if growth.state == "flat" else "has reached a plateau"


def verdict_lines(record: WatchRecord, signs: str = BLOCKS, kept: str = "") -> list[str]:
    """Return the verdict in four parts.

    Args:
        record: the watch.
        signs: characters of a trace, from the lowest to the highest.
        kept: file with the recording; empty if it was not written.
    """
    lines = [f"Verdict: {record.growth.state}", *_evidence(record, signs)]
    lines.append(f"What grew: {what_grew(record)}")
    if record.growth.state == "growing" or record.growth.doubt in {"slowing", "uneven"}:
        lines += _where(record)
        lines += _afterwards(record, kept)
    return [*map(one_line, lines)]


def what_grew(record: WatchRecord) -> str:
    """Return which signals grew, and how fast."""
    growth = record.growth
    if growth.growing:
        return "; ".join(f"{one.name} {one.rate_text()}" for one in growth.growing)
    if growth.state == "undecided":
        return f"undecided: {DOUBTS[growth.doubt]}"
    rss = growth.of("rss")
    if growth.state == "plateau" and rss is not None and record.first.rss is not None:
        rise = format_size(rss.before - record.first.rss)
        return f"nothing after the warm-up; rss rose by {rise} before, and stays"
    return "nothing"


def _evidence(record: WatchRecord, signs: str) -> Iterator[str]:
    growth = record.growth
    used = f", {growth.cpu_seconds:.1f} s of processor time"
    yield (
        f"Evidence: {many(record.samples, 'sample')} in {duration_text(record.seconds)}; "
        f"judged over {duration_text(growth.seconds)} after a warm-up of "
        f"{duration_text(growth.warm_up)}{used}"
    )
    own = [one.signal for one in growth.signals if one.signal in KEPT_SIGNALS]
    for signal in dict.fromkeys(("rss", *own, *(one.signal for one in growth.growing))):
        yield from _trace(record, signal, signs)
    if growth.doubt != "short" and growth.cpu_seconds < _IDLE_SHARE * growth.seconds:
        yield "  the program was idle: a verdict means something only under load"
    if record.gone or record.begun:
        yield f"  descendants: {record.begun} began and {record.gone} ended meanwhile"


def _trace(record: WatchRecord, signal: WatchSignal, signs: str) -> Iterator[str]:
    values = record.trace.levels.get(signal, ())
    chunks = _chunks([value for value in values if value is not None])
    if not chunks:
        return
    low, high = min(chunks), max(chunks)
    is_size = signal in SIZE_SIGNALS
    line = sparkline(chunks, signs) if is_size else _scaled(chunks, signs)
    span = (
        f"{format_mib(low)} to {format_mib(high)} MiB"
        if is_size
        else f"{low:,.0f} to {high:,.0f}"
    )
    yield f"  {SIGNAL_NAMES[signal]}: {line} ({span})"


def _scaled(values: list[float], signs: str) -> str:
    """Return a line of counts, whose lowest has the lowest sign."""
    low, high = min(values), max(values)
    top = len(signs) - 1
    span = max(high - low, 1.0)
    return "".join(signs[round((value - low) / span * top)] for value in values)


def _chunks(values: list[float]) -> list[float]:
    """Return at most so many means as fit into a line."""
    count = min(_WIDTH, len(values))
    bounds = [round(n * len(values) / count) for n in range(count + 1)] if count else []
    return [sum(values[a:b]) / (b - a) for a, b in pairwise(bounds) if b > a]


def _where(record: WatchRecord) -> Iterator[str]:
    growth = record.growth
    table = process_table(record)
    grown = record.processes[0] if table else None
    pid = grown.pid if grown is not None else growth.pid
    for number, place in enumerate(_places(record)):
        head = "  and" if number else "Where to look next"
        if _judged(record).ended and not number and not record.snapshots:
            head += " (while it runs again)"
        yield f"{head}: {place.format(pid=pid)}"
    yield from (f"  {line}" for line in table.splitlines())


def _places(record: WatchRecord) -> list[str]:
    growing = [one.signal for one in record.growth.growing]
    kept = [signal for signal in growing if signal in KEPT_SIGNALS]
    others = [signal for signal in growing if signal not in kept]
    if kept:  # resident memory grows by them
        others = [signal for signal in others if signal != "rss"]
    places = dict.fromkeys(_PLACES[signal] for signal in kept)
    if (kept or "rss" in growing) and len(record.snapshots) > 1:
        places = {_PAIR.format(*record.snapshots): None}
    found = [*places, *(_PLACES[signal] for signal in others)]
    return found or [_PLACES["rss"]]


def _afterwards(record: WatchRecord, kept: str) -> Iterator[str]:
    life = _judged(record)
    if kept:
        node = "--node " if record.growth.of("heap_used") is not None else ""
        yield f"After a fix: memguard watch {node}--against {kept} -- {_short(life.command)}"
    else:
        yield (
            "After a fix: compare with this recording, if it was written "
            "(--output DIR): memguard watch --against DIR/recording.json"
        )


def _judged(record: WatchRecord) -> Life:
    pid = record.growth.pid
    return next((life for life in reversed(record.lives) if life.pid == pid), record.lives[-1])


def _short(command: str, most: int = 60) -> str:
    return command if len(command) <= most else f"{command[: most - 3]}..."


def comparison_lines(changes: Sequence[GrowthChange], name: str) -> list[str]:
    """Return what has become of the growth in an earlier recording.

    Args:
        changes: signals that grew then, or grow now.
        name: the file with the earlier recording.
    """
    lines = [_change_text(change) for change in changes]
    return [one_line(f"Against {name}: {line}") for line in lines or ["nothing grew, or grows"]]


def _change_text(change: GrowthChange) -> str:
    before, after = change.before, change.after
    if change.flattened:
        now = "is flat" if after.state == "flat" else "has reached a plateau"
        return f"flattened: {before.name} grew by {before.rate_text()}, and {now}"
    if after.state != "growing":
        doubt = DOUBTS[after.doubt]
        return f"not known: {before.name} grew by {before.rate_text()}; now {doubt}"
    if before.state != "growing":
        return f"new: {after.name} grows by {after.rate_text()}; it was {before.state}"
    word = "still growing"
    if after.high < before.low:
        word = "growing more slowly"
    elif after.low > before.high:
        word = "growing faster"
    return f"{word}: {after.name} by {after.rate_text()}, before by {before.rate_text()}"


def watch_report(
    record: WatchRecord, signs: str = BLOCKS, kept: str = "", notes: Sequence[str] = ()
) -> list[str]:
    """Return the whole report of a watch.

    Args:
        record: the watch.
        signs: characters of a trace, from the lowest to the highest.
        kept: file with the recording; empty if it was not written.
        notes: what was done about the program.
    """
    life = record.lives[-1]
    lines = [one_line(f"{record.target}: process {life.pid}"), "", recording_table(record), ""]
    lines += [one_line(note) for note in notes]
    return [*lines, *verdict_lines(record, signs, kept)]
