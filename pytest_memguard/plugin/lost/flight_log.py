"""Keeps the flight record of the process that runs the tests."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_memguard.errors import Unmeasurable
from pytest_memguard.recording.flight_recorder import FlightRecorder

if TYPE_CHECKING:  # a worker makes no folder
    from pytest_memguard.storage.run_folder import RunFolder


def record_worker(config: pytest.Config, path: str, worker: str) -> None:
    """Begin the record of a worker of pytest-xdist.

    Args:
        config: the configuration of pytest.
        path: the file.
        worker: name of the worker.
    """
    try:
        recorder = FlightRecorder(Path(path), worker)
    except (OSError, Unmeasurable):
        return  # the controller says that there is none, if it is ever missed
    config.pluginmanager.register(FlightLog(recorder, None), "memguard-flight-log")


def record_alone(config: pytest.Config) -> None:
    """Begin the record of a run without workers.

    Args:
        config: the configuration of pytest.
    """
    from pytest_memguard.plugin.lost.flight_folder import make_folder

    folder, reason = make_folder(config)
    if folder is not None:
        try:
            recorder = FlightRecorder(folder.record(""), "")
        except (OSError, Unmeasurable) as error:
            reason = getattr(error, "strerror", None) or str(error)
            folder.close(keep=False)
        else:
            log = FlightLog(recorder, folder)
            config.pluginmanager.register(log, "memguard-flight-log")
            return
    config.pluginmanager.register(NoRecord(reason), "memguard-no-flight-log")


class FlightLog:
    """Hands the start and end of each test to the recorder.

    Args:
        recorder: writes the record.
        folder: that of the run, if this process is the whole run.
    """

    def __init__(self, recorder: FlightRecorder, folder: RunFolder | None) -> None:
        self._recorder = recorder
        self._folder = folder
        self._start, self._end = recorder.start, recorder.end

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """Record the start of a test."""
        self._start(nodeid)

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logfinish(self) -> None:
        """Record its end."""
        self._end()

    @pytest.hookimpl(trylast=True)
    def pytest_unconfigure(self) -> None:
        """Remove the record: the process has come to its end."""
        self._recorder.close()
        if self._folder is not None:
            self._folder.close(keep=False)


class NoRecord:
    """Says that the record that was asked for is not kept.

    Args:
        reason: why.
    """

    def __init__(self, reason: str) -> None:
        self._line = f"memguard: no flight record: {reason}"

    def pytest_report_header(self) -> str:
        """Say so at the start."""
        return self._line
