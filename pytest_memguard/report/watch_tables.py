"""Tables of a watch: its signals, its stages, its processes, and what happened."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Final

from pytest_memguard.escapes import one_line
from pytest_memguard.report.table import aligned_table, plain_table
from pytest_memguard.sizes import KIB, MIB, format_mib, format_size
from pytest_memguard.watch_levels import (
    JUDGED_SIGNALS,
    NODE_SIGNALS,
    PROCESS_SIGNALS,
    SIGNAL_NAMES,
    SIZE_SIGNALS,
    Levels,
    WatchSignal,
)
from pytest_memguard.watches import (
    IterationReading,
    SignalGrowth,
    StageOfWatch,
    WatchEvent,
    WatchRecord,
)

NOUNS: Final[dict[WatchSignal, str]] = {
    signal: f"{name} MiB" if signal in SIZE_SIGNALS else name
    for signal, name in SIGNAL_NAMES.items()
}
"""Names of the signals in tables, with the unit."""


def recording_table(record: WatchRecord) -> str:
    """Return all tables of a watch, and lines of what happened."""
    parts = [signal_table(record)]
    if record.stages:
        parts.append(stage_table(record.stages))
        parts += filter(None, [node_stage_table(record.stages)])
    if record.iterations:
        parts.append(iteration_table(record.iterations))
    lines = [event_text(event) for event in record.events]
    lines += [f"{subject}: {reason}" for subject, reason in record.gaps]
    if lines:
        parts.append("\n".join(map(one_line, lines)))
    return "\n\n".join(parts)


def signal_table(record: WatchRecord) -> str:
    """Return a row for each signal: start, end, peak, growth per hour, and the verdict."""
    headers = ["Signal", "Verdict", "Start", "End", "Peak", "Per hour", "95 % interval"]
    rows = []
    for signal in shown_signals(record.peak):
        if signal == "children" and not record.with_children:
            continue
        growth = record.growth.of(signal)
        is_judged = signal in JUDGED_SIGNALS
        levels = (record.first, record.last, record.peak)
        rows.append(
            [
                NOUNS[signal],
                growth.state if growth is not None else "not read" if is_judged else "-",
                *(level_text(signal, one.of(signal)) for one in levels),
                *_rates(growth),
            ]
        )
    return plain_table(headers, rows, left=2)


def shown_signals(levels: Levels) -> tuple[WatchSignal, ...]:
    """Return the signals that a table shows: those of Node.js only if there were any."""
    return (
        *PROCESS_SIGNALS,
        *(signal for signal in NODE_SIGNALS if levels.of(signal) is not None),
    )


def _rates(growth: SignalGrowth | None) -> tuple[str, str]:
    if (
        growth is None
        or growth.doubt == "short"
        or (growth.doubt == "uncollected" and not growth.high)
    ):
        return "-", "-"
    low, middle, high = (
        rate_text(growth.signal, rate) for rate in (growth.low, growth.per_hour, growth.high)
    )
    return middle, f"{low} to {high}"


def rate_text(signal: WatchSignal, rate: float) -> str:
    """Return a growth per hour, in MiB or in number, without its unit."""
    value = rate / MIB if signal in SIZE_SIGNALS else rate
    text = f"{value:+,.1f}" if abs(value) < 1000 else f"{value:+,.0f}"
    return "+0.0" if text == "-0.0" else text


def level_text(signal: WatchSignal, level: float | None) -> str:
    """Return a level for a column that names the unit."""
    if level is None:
        return "-"
    return format_mib(level) if signal in SIZE_SIGNALS else f"{level:,.0f}"


def stage_table(stages: tuple[StageOfWatch, ...]) -> str:
    """Return a row for each stage."""
    headers = ["Stage", "Verdict", "Seconds", "rss MiB", "Growth", "Peak"]
    headers += ["fds", "threads", "conn.", "children"]
    return plain_table(headers, [_stage_row(stage) for stage in stages], left=2)


def _stage_row(stage: StageOfWatch) -> list[str]:
    before, after = stage.before.rss, stage.after.rss
    grown = "-" if before is None or after is None else f"{(int(after) - before) / MIB:+.1f}"
    return [
        stage.name,
        stage.growth.state,
        f"{stage.end - stage.start:,.1f}",
        level_text("rss", before),
        "+0.0" if grown == "-0.0" else grown,
        level_text("rss", stage.peak.rss),
        *(level_text(signal, stage.after.of(signal)) for signal in PROCESS_SIGNALS[1:]),
    ]


def node_stage_table(stages: tuple[StageOfWatch, ...]) -> str:
    """Return what each stage added to the memory of Node.js; nothing if that is not known."""
    signals: tuple[WatchSignal, ...] = ("rss", *NODE_SIGNALS)
    headers = ["Added by stage, MiB", *(SIGNAL_NAMES[signal] for signal in signals)]
    rows = [
        [stage.name, *(_added(stage.before, stage.after, signal) for signal in signals)]
        for stage in stages
        if stage.after.heap_used is not None
    ]
    return plain_table(headers, rows) if rows else ""


def iteration_table(readings: tuple[IterationReading, ...]) -> str:
    """Return a row for each reading after some iterations, with the growth since the last."""
    first, last = readings[0], readings[-1]
    headers = ["Iterations", "rss MiB", "Added", "heapUsed MiB", "Added", "external MiB"]
    headers += ["Added"]
    signals: tuple[WatchSignal, ...] = ("rss", "heap_used", "external")
    rows = []
    for before, one in pairwise((first, *readings)):
        cells = [f"{one.count:,}"]
        for signal in signals:
            added = "" if one is first else _added(before.levels, one.levels, signal)
            cells += [level_text(signal, one.levels.of(signal)), added]
        rows.append(cells)
    lines = [aligned_table(headers, rows, ["right"] * len(headers))]
    warm = readings[1] if len(readings) > 2 else first
    done = last.count - warm.count
    if done > 0:
        each = (
            f"{SIGNAL_NAMES[signal]} {_each(warm.levels, last.levels, signal, done)}"
            for signal in signals
        )
        lines.append(f"for each iteration after the first {warm.count:,}: {', '.join(each)}")
    return "\n".join(lines)


def _each(before: Levels, after: Levels, signal: WatchSignal, count: int) -> str:
    start, end = before.of(signal), after.of(signal)
    if start is None or end is None:
        return "-"
    return f"{(end - start) / count / KIB:+,.2f} KiB"


def _added(before: Levels, after: Levels, signal: WatchSignal) -> str:
    start, end = before.of(signal), after.of(signal)
    if start is None or end is None:
        return "-"
    return rate_text(signal, float(int(end) - int(start)))


def process_table(record: WatchRecord, most: int = 5) -> str:
    """Return a row for each of the processes that grew most; nothing if there is only one."""
    if len(record.processes) < 2:
        return ""
    rows = [
        [
            str(process.pid),
            process.name,
            format_mib(process.first),
            format_mib(process.last),
            format_mib(process.highest),
        ]
        for process in record.processes[:most]
    ]
    return plain_table(
        ["Process", "Program", "First MiB", "Last MiB", "Peak MiB"], rows, left=2
    )


def levels_text(levels: Levels) -> str:
    """Return a reading on one line: rss 20.1 MiB, fds 5, threads 1."""
    return ", ".join(_levels(levels))


def _levels(levels: Levels) -> Iterator[str]:
    for signal in shown_signals(levels):
        level = levels.of(signal)
        if level is not None:
            text = format_size(level) if signal in SIZE_SIGNALS else f"{level:,}"
            yield f"{SIGNAL_NAMES[signal]} {text}"


def event_text(event: WatchEvent) -> str:
    """Return what happened in a sentence."""
    at = duration_text(event.seconds)
    if event.kind == "ended":
        return f"{at}: process {event.pid} ended"
    if event.kind == "restarted":
        return f"{at}: restarted: process {event.pid} has taken the place of {event.former}"
    if event.kind == "replaced":
        return f"{at}: process {event.pid} runs another program (exec); its memory began anew"
    if event.kind == "followed":
        return f"{at}: process {event.pid} is watched in place of {event.former}"
    return f"{at}: {event.severity}: {event.threshold} was reached"


def duration_text(seconds: float) -> str:
    """Return a duration as 1.5 s, 2:05 or 1:02:05."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
