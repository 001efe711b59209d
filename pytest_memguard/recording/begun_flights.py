"""Makes the folder for the flight records of a run that begins."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path

from pytest_memguard.formats import Json
from pytest_memguard.probes.oom_kills import read_oom_counter
from pytest_memguard.probes.process_identity import identity_of
from pytest_memguard.storage.run_folder import RunFolder


def begin_run(places: Sequence[Path], root: Path, command: str) -> tuple[RunFolder | None, str]:
    """Make the folder of this run.

    Args:
        places: where the folder of all runs may be, the best first.
        root: pytest's root folder.
        command: what the user wrote, for the report.

    Returns:
        The folder, and why there is none.
    """
    counter = read_oom_counter()
    now = time.time()
    about: Json = {
        "pid": os.getpid(),
        "identity": identity_of(os.getpid()),
        "time": now,
        "command": command,
        "root": str(root),
        "oom_kills": counter.kills,
        "oom_source": counter.source,
        "oom_place": counter.place,
    }
    started = time.strftime("%Y%m%d-%H%M%S", time.localtime(now))
    name = f"{started}-{time.time_ns() % 1_000_000_000:09}"
    reason = ""
    for parent in places:
        try:
            return RunFolder(parent, name, about), ""
        except OSError as error:
            reason = f"{parent} cannot be written ({error.strerror or error})"
    return None, reason
