"""Makes the folder for the flight records of this run, in pytest's cache if there is one."""

from __future__ import annotations

import contextlib
import shlex
from pathlib import Path
from typing import Final

import pytest

from pytest_memguard.plugin.keys import FLIGHT_FOLDER
from pytest_memguard.plugin.options import FLIGHTS, flight_places
from pytest_memguard.recording.begun_flights import begin_run
from pytest_memguard.storage.run_folder import RunFolder

_LONGEST: Final = 100
"""Characters of a command line that are kept to name the run."""


def make_folder(config: pytest.Config) -> tuple[RunFolder | None, str]:
    """Make the folder for the records of this run.

    Args:
        config: the configuration of pytest.

    Returns:
        The folder, and why there is none.
    """
    places = flight_places(config)
    cache = getattr(config, "cache", None)
    if cache is not None and not places[0].parent.is_dir():
        # pytest makes the folder of its cache with a .gitignore, but only a whole folder
        with contextlib.suppress(OSError):
            empty = cache.mkdir(FLIGHTS)
            empty.rmdir()
            empty.parent.rmdir()
    command = shlex.join(["pytest", *map(str, config.invocation_params.args)])
    if len(command) > _LONGEST:
        command = f"{command[:_LONGEST]} ..."
    folder, reason = begin_run(places, Path(config.rootpath), command)
    if folder is not None:
        config.stash[FLIGHT_FOLDER] = folder
    return folder, reason
