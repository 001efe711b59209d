"""Reads the baseline file, and changes it while no other process does."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from pytest_memguard.errors import ConfigError
from pytest_memguard.model.baselines import Baseline
from pytest_memguard.storage.baseline_parser import parse_baseline
from pytest_memguard.storage.baseline_writer import dump_baseline
from pytest_memguard.storage.files import read_text, write_whole
from pytest_memguard.storage.locks import PATIENCE, locked

FILE: Final = ".memguard/baseline.json"


def read_baseline(path: Path) -> Baseline | None:
    """Return the baseline in a file; ``None`` if there is no file.

    Raises:
        ConfigError: if the file cannot be read, is damaged or has a newer format. The message
            says what is wrong, and on which line; the file is not changed.
    """
    try:
        text = read_text(path)
    except FileNotFoundError:
        return None
    except OSError as error:
        msg = f"{path} cannot be read ({error.strerror}); mend it or move it away"
        raise ConfigError(msg) from error
    except UnicodeDecodeError as error:
        msg = f"{path} is no text ({error.reason}); mend it or move it away"
        raise ConfigError(msg) from error
    with without_garbage_collection():
        return parse_baseline(text, str(path))


@contextlib.contextmanager
def without_garbage_collection() -> Iterator[None]:
    """Disable the garbage collector while many objects are made that are not garbage.

    Collections would otherwise take nearly half of the time.
    """
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def write_baseline(path: Path, baseline: Baseline) -> None:
    """Write a baseline completely or not at all.

    Raises:
        OSError: if it cannot be written; the old file is still there.
    """
    try:
        write_whole(path, dump_baseline(baseline))
    except OSError as error:
        msg = f"{path} cannot be written ({error.strerror or error}); it is as it was before"
        raise OSError(msg) from error


def update_baseline(
    path: Path,
    change: Callable[[Baseline | None], Baseline],
    patience: float = PATIENCE,
) -> Baseline:
    """Read, change and write a baseline while no other process does.

    A file that would not change is not written.

    Args:
        path: the file; its folder is made.
        change: returns the new baseline from the old one (``None`` if there is no file).
        patience: seconds to wait for another process.

    Returns:
        The new baseline.

    Raises:
        ConfigError: if the file makes no sense; it is not changed.
        OSError: if it cannot be written, or another process keeps it locked; the old file is
            still there.
    """
    path = path.resolve()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        msg = f"{path} cannot be written ({error.strerror or error})"
        raise OSError(msg) from error
    with locked(path, patience):
        before = read_baseline(path)
        after = change(before)
        if before != after:
            _clear_remains(path)
            write_baseline(path, after)
    return after


def _clear_remains(path: Path) -> None:
    """Remove half-written files of killed processes; the caller holds the lock."""
    for remains in path.parent.glob(f".{path.name}.????????"):
        with contextlib.suppress(OSError):
            remains.unlink()


def is_baseline(data: object) -> bool:
    """Return whether the content of a JSON file looks like a baseline, of any format."""
    return isinstance(data, dict) and "environments" in data
