"""Prepares a run whose tests share the memory."""

from __future__ import annotations

import json
import os
import secrets
import shutil
from collections.abc import Mapping
from math import inf
from pathlib import Path
from typing import Any

import pytest

from pytest_memguard.escapes import one_line
from pytest_memguard.model.admission import ParallelRun, Wait
from pytest_memguard.model.results import Gap
from pytest_memguard.plugin.collector import Collector
from pytest_memguard.plugin.keys import EXPECTED, ITEMS, PARALLEL
from pytest_memguard.plugin.options import distributes, settings_of, usage_error
from pytest_memguard.plugin.parallel.expected_needs import ExpectedNeeds
from pytest_memguard.plugin.parallel.parallel_report import ParallelReport
from pytest_memguard.plugin.parallel.parallel_tests import LOST, ParallelTests
from pytest_memguard.plugin.parallel.parallel_workers import (
    INPUT,
    ParallelWorkers,
    patience_of,
    write_line,
)
from pytest_memguard.plugin.parallel.recorded_needs import RecordedNeeds, recorded_needs
from pytest_memguard.plugin.parallel.shared_memory import shared_size, token_file_path
from pytest_memguard.probes.own_memory import own_memory_reader
from pytest_memguard.recording.token_file import TokenFile
from pytest_memguard.recording.tokens import Tokens
from pytest_memguard.report.parallel import waiting_line


def begin_worker(config: pytest.Config) -> None:
    """Let the tests of a worker of pytest-xdist share the memory.

    Args:
        config: the configuration of pytest.
    """
    worker_input: Mapping[str, Any] = config.workerinput  # type: ignore[attr-defined]
    text, settings = worker_input.get(INPUT), settings_of(config)
    if text is None:
        _say_lost(config, "this worker was not started on the machine of the run")
        return
    given = json.loads(text)
    expected = config.stash[EXPECTED] = ExpectedNeeds(settings, given["recorded"])
    try:
        file = TokenFile(Path(given["file"]))
    except OSError as error:
        _say_lost(config, f"{given['file']}: {error.strerror or error}")
        return
    tokens = Tokens(file, given["run"], given["size"], own_memory_reader(), os.getpid())
    order = settings.parallel_order
    tests = ParallelTests(config, tokens, expected, order, lambda *_: None, inf)
    config.pluginmanager.register(tests, "memguard-parallel-tests")


def begin(config: pytest.Config, collector: Collector) -> None:
    """Let the tests of a run share the memory, in the process that talks to the user.

    Args:
        config: the configuration of pytest.
        collector: prints the lines at the end.

    Raises:
        pytest.UsageError: if there is no file to share it by.
    """
    path, is_private = token_file_path()
    if is_private:
        config.add_cleanup(lambda: shutil.rmtree(path.parent, ignore_errors=True))
    recorded = recorded_needs(config)
    if recorded.problem:
        collector.gaps.append(
            Gap(subject="what tests need", reason=f"it cannot be read: {recorded.problem}")
        )
    try:
        file = TokenFile(path)
        with file.locked():
            others = file.others()
    except OSError as error:
        problem = f"{path} cannot be used ({error.strerror or error})"
        raise usage_error([f"{settings_of(config).where('parallel')}: {problem}"]) from error
    shared = shared_size(config, others)
    source = settings_of(config).where("parallel")
    inside = ", within a test of another run" if is_private else ""
    run = ParallelRun(size=shared.size, source=f"{source}{inside}", reason=shared.reason)
    tokens = Tokens(file, secrets.randbits(60), run.size, own_memory_reader(), os.getpid())
    numbers = {name: len(sizes) for name, sizes in recorded.sizes.items()}
    report = ParallelReport(config, collector, run, numbers)
    config.stash[PARALLEL] = lambda: report.run
    config.pluginmanager.register(report, "memguard-parallel-report")
    if distributes(config):
        workers = ParallelWorkers(
            config, tokens, run.size, tokens.run, str(path), recorded.sizes, report
        )
        config.pluginmanager.register(workers, "memguard-parallel-workers")
    else:
        _begin_alone(config, tokens, recorded, report)


def _begin_alone(
    config: pytest.Config, tokens: Tokens, recorded: RecordedNeeds, report: ParallelReport
) -> None:
    """Let the tests of this process share the memory with other runs."""
    settings = settings_of(config)
    expected = config.stash[EXPECTED] = ExpectedNeeds(settings, recorded.sizes)

    def waits(nodeid: str, wait: Wait) -> None:
        write_line(config, waiting_line("", nodeid, wait, report.run.size))

    order, patience = settings.parallel_order, patience_of(config)
    tests = ParallelTests(config, tokens, expected, order, waits, patience)
    config.pluginmanager.register(tests, "memguard-parallel-tests")


def _say_lost(config: pytest.Config, reason: str) -> None:
    config.stash[ITEMS].instruments.gaps.append(
        Gap(subject=LOST, reason=one_line(f"{reason}; its tests start at once"))
    )
