"""The folder in which a run keeps flight records while it lasts.

It holds ``run.json``, which says whose it is, a lock, one record for each process, and
``lost.json`` once a worker was lost. ``told`` marks a run whose loss was reported.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import shutil
import stat
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pytest_memguard.formats import Json
from pytest_memguard.storage.files import write_whole

if TYPE_CHECKING:  # every run with workers makes a folder, few lose one
    from pytest_memguard.model.flights import LostWorker

NAME: Final = "memguard-flight"
"""Name of the folder of all runs in pytest's cache."""
FORMAT: Final = 1
# 1: first format.
SUFFIX: Final = ".flight"
"""Ending of the name of a flight record."""
RUN_FILE: Final = "run.json"
LOST_FILE: Final = "lost.json"
REPORTED_FILE: Final = "told"
LOCK_FILE: Final = "lock"


class RunFolder:
    """The folder of this run, while it lasts.

    Args:
        parent: the folder of all runs; it is made.
        name: of this one.
        about: what ``run.json`` says, beside its format.

    Attributes:
        path: the folder.

    Raises:
        OSError: if it cannot be made.
    """

    def __init__(self, parent: Path, name: str, about: Json) -> None:
        self.path = parent / name
        unfinished = _hidden(self.path)  # another run must not take it for one that was lost
        if parent.name == NAME:
            parent.mkdir(parents=True, exist_ok=True)
        else:  # among temporary files
            parent.mkdir(mode=0o700, exist_ok=True)
            _check_owner(parent)
        unfinished.mkdir()
        self._lock = _locked(unfinished / LOCK_FILE)
        write_whole(unfinished / RUN_FILE, json.dumps({"format": FORMAT, **about}) + "\n")
        unfinished.rename(self.path)

    def record(self, worker: str) -> Path:
        """Return the file for the flight record of a worker, or of a run without any."""
        name = re.sub(r"[^\w.-]", "_", worker)  # users may choose it: popen//id=a/b
        return self.path / f"{name or 'main'}{SUFFIX}"

    def keep(self, lost: Sequence[LostWorker]) -> None:
        """Write what is known about lost workers, for as long as the folder is kept.

        Args:
            lost: all so far.
        """
        from pytest_memguard.codecs.flight_codecs import LOST_CODEC  # most runs lose no worker

        entries = [LOST_CODEC.write(one) for one in lost]
        text = json.dumps({"format": FORMAT, "lost_workers": entries}, indent=1)
        write_whole(self.path / LOST_FILE, f"{text}\n")

    def forget(self, lost: Sequence[LostWorker]) -> None:
        """Remove the records of all processes but those that were lost."""
        kept = {Path(one.record).name for one in lost}
        for path in self.path.glob(f"*{SUFFIX}"):
            if path.name not in kept:
                with contextlib.suppress(OSError):
                    path.unlink()

    def close(self, *, keep: bool) -> None:
        """End the run.

        Args:
            keep: whether the folder stays, because a worker was lost and that was reported.
        """
        if keep:
            with contextlib.suppress(OSError):
                mark_reported(self.path)
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None
        with contextlib.suppress(OSError):
            (self.path / LOCK_FILE).unlink()
        if not keep:
            remove(self.path)


def mark_reported(path: Path) -> None:
    """Note that a run has been reported.

    Args:
        path: its folder.

    Raises:
        OSError: if that cannot be written.
    """
    (path / REPORTED_FILE).touch()


def remove(path: Path) -> None:
    """Remove the folder of a run, and the one of all runs if it is the last."""
    hidden = _hidden(path)
    with contextlib.suppress(OSError):
        path.rename(hidden)
    shutil.rmtree(hidden, ignore_errors=True)
    with contextlib.suppress(OSError):  # others are there
        path.parent.rmdir()


def _hidden(path: Path) -> Path:
    """Return the name of a folder that is being made or removed."""
    return path.with_name(f".{path.name}")


def _check_owner(parent: Path) -> None:
    """Refuse a folder that another user has made: any user can among temporary files.

    Raises:
        PermissionError: if it is that of another user, or a link.
    """
    if not hasattr(os, "getuid"):
        return
    found = parent.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        raise PermissionError(errno.EPERM, "it belongs to another user", str(parent))


if sys.platform == "win32":

    def _locked(path: Path) -> int | None:  # noqa: ARG001  its process number must suffice
        return None

    def is_locked(path: Path) -> bool:  # noqa: ARG001  there is no lock
        """Return False: there is no lock."""
        return False

else:
    import fcntl

    def _locked(path: Path) -> int | None:
        """Lock a file until this process ends; a forked child does not hold the lock."""
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:  # the file system has no locks
            os.close(descriptor)
            return None
        return descriptor

    def is_locked(path: Path) -> bool:
        """Return whether another process, perhaps in another container, holds the lock."""
        try:
            descriptor = os.open(path, os.O_RDWR)
        except OSError:
            return False
        try:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:
            return False
        finally:
            os.close(descriptor)
        return False
