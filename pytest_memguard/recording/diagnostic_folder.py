"""Writes a folder with what can still be learnt of a program in trouble."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Final

import psutil

from pytest_memguard.codecs.watch_codecs import WATCH_CODEC
from pytest_memguard.sizes import format_size
from pytest_memguard.watches import WatchRecord

_MOST_PROCESSES: Final = 50
_STACKS_OF: Final = 5
"""So many processes whose Python stacks are written."""
_PATIENCE_SECONDS: Final = 10.0
_GONE: Final = "the process has ended\n"


def write_diagnosis(parent: Path, pid: int, reason: str, record: WatchRecord) -> Path:
    """Write the folder, which only this user can read, and return its path.

    It holds ``reason.txt`` and ``recording.json``; for each process of the tree that lives
    ``tree.txt``, ``smaps_rollup.txt`` (Linux), ``open-files.txt`` and ``connections.txt``; and
    ``stacks.txt`` with Python stacks, if py-spy is installed.

    Args:
        parent: the folder to make it in.
        pid: number of the first process.
        reason: why it is written.
        record: the recording so far.

    Raises:
        OSError: if it cannot be written.
    """
    folder = _new_folder(parent, pid)
    _write(folder / "reason.txt", f"{reason}\n")
    _write(folder / "recording.json", json.dumps(WATCH_CODEC.write(record), indent=1) + "\n")
    processes = _tree(pid)
    parts: dict[str, Callable[[psutil.Process], str]] = {
        "tree.txt": _about,
        "smaps_rollup.txt": _smaps,
        "open-files.txt": _open_files,
        "connections.txt": _connections,
    }
    for name, part in parts.items():
        _write(folder / name, "".join(_sections(processes, part)) or _GONE)
    _write(folder / "stacks.txt", _stacks(processes))
    return folder


def _new_folder(parent: Path, pid: int) -> Path:
    parent.mkdir(parents=True, exist_ok=True)
    moment = datetime.now(tz=UTC).strftime("%Y%m%d-%H%M%S")
    for number in count():
        suffix = f"-{number}" if number else ""
        folder = parent / f"diagnosis-{pid}-{moment}{suffix}"
        try:
            folder.mkdir(mode=0o700)
        except FileExistsError:
            continue
        return folder
    raise AssertionError


def _write(path: Path, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace") as file:
        file.write(text)


def _tree(pid: int) -> list[psutil.Process]:
    try:
        root = psutil.Process(pid)
        if root.status() == psutil.STATUS_ZOMBIE:
            return []
        return [root, *root.children(recursive=True)][:_MOST_PROCESSES]
    except psutil.Error:
        return []


def _sections(
    processes: list[psutil.Process], part: Callable[[psutil.Process], str]
) -> Iterator[str]:
    for process in processes:
        try:
            text = part(process)
        except (psutil.Error, OSError, RuntimeError) as error:
            text = f"cannot be read: {error}\n"
        yield f"process {process.pid}:\n{text}\n"


def _about(process: psutil.Process) -> str:
    with process.oneshot():
        return (
            f"  parent {process.ppid()}, {process.status()}, {process.num_threads()} threads, "
            f"rss {format_size(process.memory_info().rss)}\n  {' '.join(process.cmdline())}\n"
        )


def _smaps(process: psutil.Process) -> str:
    path = Path(f"/proc/{process.pid}/smaps_rollup")
    return path.read_text(encoding="ascii", errors="replace")


def _open_files(process: psutil.Process) -> str:
    folder = Path(f"/proc/{process.pid}/fd")
    if not folder.is_dir():
        return "".join(f"  {file.path}\n" for file in process.open_files())
    lines = []
    for entry in sorted(folder.iterdir(), key=lambda path: int(path.name)):
        try:
            lines.append(f"  {entry.name}: {entry.readlink()}\n")
        except OSError:  # it was closed meanwhile
            continue
    return "".join(lines)


def _connections(process: psutil.Process) -> str:
    found = process.net_connections("inet")
    return "".join(f"  {_end(c.laddr)} {_end(c.raddr)} {c.status}\n" for c in found)


def _end(address: tuple[object, ...]) -> str:
    return ":".join(map(str, address[:2])) or "-"


def _stacks(processes: list[psutil.Process]) -> str:
    program = shutil.which("py-spy")
    if program is None:
        return "py-spy is not installed: pip install py-spy\n"
    return "".join(_stack(program, process.pid) for process in processes[:_STACKS_OF]) or _GONE


def _stack(program: str, pid: int) -> str:
    try:
        done = subprocess.run(
            [program, "dump", "--pid", str(pid)],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_PATIENCE_SECONDS,
            check=False,
        )
    except (OSError, subprocess.SubprocessError) as error:
        return f"process {pid}: {error}\n"
    return f"{done.stdout}{done.stderr}\n"
