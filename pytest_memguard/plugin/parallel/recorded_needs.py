"""What the baseline and the history say that tests need."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import pytest

from pytest_memguard.errors import ConfigError
from pytest_memguard.judge.readings import environment_key
from pytest_memguard.model.baselines import Baseline
from pytest_memguard.model.metrics import RSS, TREE
from pytest_memguard.plugin.environment import environment
from pytest_memguard.plugin.options import settings_of
from pytest_memguard.values import dataclass

BASELINE: Final = "the baseline"
HISTORY: Final = "the history"
RECORDED: Final = frozenset({BASELINE, HISTORY})
_METRICS: Final = (RSS.name, TREE.name)
_RUNS: Final = 5
"""Number of runs of the history that count."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedNeeds:
    """What tests need as far as it is recorded."""

    sizes: Mapping[str, Mapping[str, int]]
    """Bytes by node id, for each source; the first that has a test counts."""
    problem: str = ""
    """Why a source could not be read."""

    @property
    def tests(self) -> int:
        """Number of tests that are recorded."""
        return len(set().union(*self.sizes.values()))


def recorded_needs(config: pytest.Config) -> RecordedNeeds:
    """Return what is recorded of tests: the peak of the call, with children where measured.

    Args:
        config: the configuration of pytest.
    """
    problems: list[str] = []
    sizes: dict[str, Mapping[str, int]] = {}
    for source, read in ((BASELINE, _from_baseline), (HISTORY, _from_history)):
        try:
            found = read(config)
        except (ConfigError, OSError) as error:
            problems.append(f"{source}: {error}")
        else:
            if found:
                sizes[source] = found
    return RecordedNeeds(sizes=sizes, problem="; ".join(problems))


def _from_baseline(config: pytest.Config) -> Mapping[str, int]:
    settings = settings_of(config)
    named = settings.compare or settings.baseline
    start = config.rootpath
    if named != settings.baseline and settings.where("compare").startswith("--"):
        start = config.invocation_params.dir
    path = Path(start, named)
    if not path.is_file():
        return {}
    from pytest_memguard.storage.baseline import read_baseline

    return needs_in(read_baseline(path) or Baseline())


def needs_in(baseline: Baseline) -> Mapping[str, int]:
    """Return the peaks in a baseline: of this environment, or the highest of all others."""
    here = {environment_key(environment(), metric) for metric in _METRICS}
    known = here & baseline.environments.keys()
    entries = [
        of_tests
        for key, of_tests in baseline.environments.items()
        if key in known or (not known and key.metric in _METRICS)
    ]
    found: dict[str, int] = {}
    for of_tests in entries:
        for nodeid, entry in of_tests.items():
            found[nodeid] = max(entry.peak, entry.cold, found.get(nodeid, 0))
    return found


def _from_history(config: pytest.Config) -> Mapping[str, int]:
    settings = settings_of(config)
    if settings.history is None:
        return {}
    from pytest_memguard.plugin.baseline.history import location_of
    from pytest_memguard.storage.database import StoreError
    from pytest_memguard.storage.history_location import open_to_read
    from pytest_memguard.storage.stored_runs import read_readings, read_runs

    location = location_of(config, settings)
    if not location.is_url and not Path(location.text).exists():
        return {}
    found: dict[str, int] = {}
    try:
        database = open_to_read(location)
        try:
            for reading in read_readings(database, read_runs(database, last=_RUNS)):
                if reading.metric == RSS.name and reading.peak is not None:
                    need = reading.peak + (reading.children or 0)
                    found[reading.nodeid] = max(need, found.get(reading.nodeid, 0))
        finally:
            database.close()
    except StoreError as error:
        raise ConfigError(str(error)) from error
    return found
