"""What is on record for this run: the baseline's file, read before the first test."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from pytest_memguard.checks.regression.check import RegressionCheck
from pytest_memguard.errors import ConfigError
from pytest_memguard.judge.readings import environment_key
from pytest_memguard.model.baselines import Baseline, BaselineEntry, EnvironmentKey
from pytest_memguard.model.metrics import METRICS
from pytest_memguard.options.settings import Settings
from pytest_memguard.plugin.environment import environment
from pytest_memguard.plugin.fresh.fresh_regressions import FreshRegressions
from pytest_memguard.plugin.options import settings_of, usage_error
from pytest_memguard.storage.baseline import read_baseline
from pytest_memguard.storage.files import not_regular
from pytest_memguard.values import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What is on record, and where it is kept."""

    compared: Path
    """File to compare with."""
    saved: Path
    """File to store in."""
    old: Baseline | None
    """What the first of them holds; ``None`` where there is no file."""
    root: Path
    """What paths are shown relative to."""

    def shown(self, path: Path) -> str:
        """What a message calls a file."""
        inside = path.is_relative_to(self.root)
        return path.relative_to(self.root).as_posix() if inside else str(path)


def read_record(config: pytest.Config) -> Record:
    """Read the baseline.

    Raises:
        pytest.UsageError: if its file cannot be used, or ``--mem-strict`` needs one.
    """
    settings = settings_of(config)
    root = Path(config.rootpath)
    default = root / settings.baseline
    compared = _path(config, settings, "compare", default)
    saved = _path(config, settings, "save", default)
    if not settings.saves:
        saved = compared
    used = {saved: "save"} if settings.saves else {}
    used |= {compared: "compare"} if settings.compares else {}
    problems = [
        f"{_source(settings, name)}: {path}: {problem}; name another file, or move it away"
        for path, name in used.items()
        if (problem := not_regular(path))
    ]
    if problems:
        raise usage_error(problems)
    try:
        if saved != compared:
            read_baseline(saved)
        old = read_baseline(compared if settings.compares else saved)
    except ConfigError as error:
        raise usage_error(error.problems) from error
    record = Record(
        compared=compared if settings.compares else saved, saved=saved, old=old, root=root
    )
    if settings.strict and settings.compares:
        _demand(record)
    return record


def _path(config: pytest.Config, settings: Settings, name: str, default: Path) -> Path:
    """The file that a setting names: relative to where pytest was called, or to the root."""
    given = getattr(settings, name)
    if given is None or given == settings.baseline:
        return default
    if settings.where(name).startswith("--"):
        return Path(config.invocation_params.dir, given)
    return Path(config.rootpath, given)


def _source(settings: Settings, name: str) -> str:
    """Which setting names the file to compare with, or to store in."""
    if getattr(settings, name) in {None, settings.baseline} and "baseline" in settings.sources:
        return settings.where("baseline")
    return settings.where(name if name in settings.sources else "accept")


def _demand(record: Record) -> None:
    """Refuse to start without numbers to compare with.

    Raises:
        pytest.UsageError: if there are none.
    """
    here = environment_key(environment())
    name = record.shown(record.compared)
    if record.old is None:
        raise usage_error(
            [f"--mem-strict: there is no {name} to compare with (--mem-save writes it)"]
        )
    if here not in record.old.environments:
        raise usage_error([f"--mem-strict: {other_environment(name, record.old, here)}"])


def other_environment(file: str, old: Baseline, here: EnvironmentKey) -> str:
    """The sentence for a baseline of other environments than this one."""
    from pytest_memguard.report.changes import environment_text

    known = (
        "; ".join(sorted({environment_text(environment) for environment in old.environments}))
        or "none"
    )
    return (
        f"nothing to compare with: {file} has no numbers for {environment_text(here)}, "
        f"those it has are for: {known} (--mem-save adds this environment)"
    )


def regression_check(
    settings: Settings, record: Record, confirm: FreshRegressions | None
) -> RegressionCheck:
    """The check for the tests of this process.

    Args:
        settings: the settings of the run.
        record: what is on record.
        confirm: measures suspects again, if asked for.
    """
    old = record.old or Baseline()
    here = environment()
    found = {name: environment_key(here, name) for name in METRICS}
    records: dict[str, tuple[EnvironmentKey, Mapping[str, BaselineEntry]]] = {
        name: (environment, old.environments.get(environment, {}))
        for name, environment in found.items()
    }
    file, root = record.shown(record.saved), str(record.root)
    return RegressionCheck(settings, records, old, file, root, confirm)
