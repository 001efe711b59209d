"""A log of experiments: a file of tab-separated lines that is only appended to."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from pytest_memguard.errors import ConfigError
from pytest_memguard.storage.files import read_text, write_whole
from pytest_memguard.storage.locks import PATIENCE, locked

COLUMNS: Final = (
    "commit",
    "target_test",
    "target_mb",
    "peak_memory_mb",
    "total_allocs",
    "elapsed_s",
    "tests_passed",
    "tests_failed",
    "status",
    "description",
)
"""Names of the columns, in order; they do not change."""


def append_line(path: Path, cells: Sequence[str], patience: float = PATIENCE) -> int:
    """Append a line while no other process does; a new file gets a header first.

    Args:
        path: the file; its folder is made.
        cells: one for each column, without tabs and line breaks.
        patience: seconds to wait for another process.

    Returns:
        The number of experiments in the file.

    Raises:
        ConfigError: if the file is not such a log; it is not changed.
        OSError: if it cannot be written; the old file is still there.
    """
    header = "\t".join(COLUMNS)
    with locked(path, patience):
        text = _read(path)
        if not text.strip():
            text = f"{header}\n"
        first = text.splitlines()[0].removeprefix("\ufeff")
        if first != header:
            msg = (
                f"{path} has other columns than an optimisation log ({first[:80]!r}): "
                "name another file, or move it away"
            )
            raise ConfigError(msg)
        text += "" if text.endswith("\n") else "\n"
        text += "\t".join(cells) + "\n"
        write_whole(path, text)
    return sum(1 for line in text.splitlines()[1:] if line.strip())


def _read(path: Path) -> str:
    try:
        return read_text(path)
    except FileNotFoundError:
        return ""
    except UnicodeDecodeError as error:
        msg = f"{path} is no text ({error.reason}): name another file, or move it away"
        raise ConfigError(msg) from error
