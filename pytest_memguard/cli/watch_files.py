"""What ``memguard watch`` leaves behind: files, lines for other programs, and the history."""

from __future__ import annotations

import json
import platform
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Final

from pytest_memguard.codecs.watch_codecs import WATCH_CODEC
from pytest_memguard.model.past_runs import HistoryLocation, PastReading, PastRun
from pytest_memguard.model.results import Environment
from pytest_memguard.probes.commit import current_commit
from pytest_memguard.storage.appended_runs import append_run
from pytest_memguard.storage.files import write_whole
from pytest_memguard.storage.history_location import open_to_write
from pytest_memguard.watch_levels import PROCESS_SIGNALS, SIGNALS
from pytest_memguard.watches import WatchRecord

RECORDING_FILE: Final = "recording.json"
_SAMPLES_FILE: Final = "samples.tsv"
_REPORT_FILE: Final = "report.txt"


def as_json(record: WatchRecord) -> str:
    """Return a recording as JSON."""
    return json.dumps(WATCH_CODEC.write(record), indent=1)


def as_tsv(record: WatchRecord) -> str:
    """Return the samples as lines with tabs between the columns."""
    return "\n".join("\t".join(row) for row in _rows(record))


def _rows(record: WatchRecord) -> Iterator[list[str]]:
    trace = record.trace
    signals = [one for one in SIGNALS if one in PROCESS_SIGNALS or one in trace.levels]
    yield ["seconds", "pid", "cpu_seconds", *signals]
    for at, seconds in enumerate(trace.seconds):
        values = [trace.levels[signal][at] for signal in signals]
        yield [
            f"{seconds:.3f}",
            str(record.lives[trace.lives[at]].pid),
            f"{trace.cpu[at]:.3f}",
            *("" if value is None else f"{value:.10g}" for value in values),
        ]


def write_files(folder: Path, record: WatchRecord, report: str) -> None:
    """Write the recording, its samples and the report into a folder.

    Raises:
        OSError: if one of them cannot be written.
    """
    write_whole(folder / RECORDING_FILE, f"{as_json(record)}\n")
    write_whole(folder / _SAMPLES_FILE, f"{as_tsv(record)}\n")
    write_whole(folder / _REPORT_FILE, f"{report}\n")


def append_to_history(place: str, record: WatchRecord, name: str, status: int) -> str:
    """Append a watch to the history, as a run of one test, and return a line about it.

    Args:
        place: a file or URL.
        record: the watch.
        name: what was watched: the name of that test.
        status: the status with which the command ends.

    Raises:
        ConfigError: if the place makes no sense.
        StoreError: if it cannot be written.
    """
    location = HistoryLocation(text=place)
    first, last, peak = record.first.rss, record.last.rss, record.peak.rss
    reading = PastReading(
        run=0,
        nodeid=f"watch: {name}",
        outcome="failed" if status else "passed",
        finding=record.growth.state if record.growth.state == "growing" else "",
        metric="tree" if record.with_children else "rss",
        peak=peak,
        ceiling=peak,
        growth=None if first is None or last is None else int(last) - int(first),
        leak=record.growth.state,
        seconds=record.seconds,
    )
    run = PastRun(
        number=0,
        ended=datetime.now(tz=UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        commit=current_commit(Path.cwd()),
        environment="",
        status=status,
        aborted="",
        tests=1,
    )
    database = open_to_write(location)
    try:
        number = append_run(database, run, _environment(), [reading])
    finally:
        database.close()
    return f"run {number} of the history: {location}"


def _environment() -> Environment:
    return Environment(
        python=platform.python_version(),
        implementation=platform.python_implementation(),
        platform=f"{platform.system()} {platform.machine()}",
        pytest=metadata.version("pytest"),
        memguard=metadata.version("pytest-memguard"),
        allocator="pymalloc" if sys.implementation.name == "cpython" else "",
    )
