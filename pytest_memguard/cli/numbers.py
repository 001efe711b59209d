"""Reads numbers from a file, whether it is that of a run or a baseline."""

from __future__ import annotations

from pathlib import Path

from pytest_memguard.cli.common import read_numbers
from pytest_memguard.errors import ConfigError
from pytest_memguard.judge.readings import readings
from pytest_memguard.model.baselines import Baseline
from pytest_memguard.model.results import Run
from pytest_memguard.values import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Numbers:
    """The numbers in a file."""

    name: str
    """The file, as the command line names it."""
    baseline: Baseline
    """The numbers, in the form of a baseline."""
    run: Run | None = None
    """The run, if the file is that of a run."""

    @property
    def without(self) -> frozenset[str]:
        """Tests of a run without numbers to compare, because they did not pass."""
        if self.run is None:
            return frozenset()
        known = {nodeid for tests in self.baseline.environments.values() for nodeid in tests}
        return frozenset(test.nodeid for test in self.run.outcomes) - known


def numbers_in(name: str, *, breaches: bool = False) -> Numbers:
    """Return the numbers in a file of ``--mem-json`` or ``--mem-save``.

    Args:
        name: the name of the file.
        breaches: whether tests count that failed only because of our findings.

    Raises:
        ConfigError: if it cannot be read, or is neither.
    """
    found = read_numbers(name)
    if isinstance(found, Baseline):
        return Numbers(name=name, baseline=found)
    try:
        baseline = readings(found, str(Path.cwd()), breaches=breaches)
    except (TypeError, ValueError, AttributeError, ArithmeticError) as error:
        msg = f"{name} has a value that makes no sense ({type(error).__name__}: {error})"
        raise ConfigError(msg) from error
    return Numbers(name=name, baseline=baseline, run=found)
