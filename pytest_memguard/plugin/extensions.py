"""What other plugins add by our hooks, checked once for a run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

import pytest

from pytest_memguard.escapes import one_line
from pytest_memguard.extension import Check, Renderer
from pytest_memguard.model.metrics import CHILDREN, METRICS, Metric, add_metric
from pytest_memguard.model.results import Gap
from pytest_memguard.plugin.keys import CALLED, CHECKS
from pytest_memguard.plugin.options import usage_error
from pytest_memguard.probes import Meter
from pytest_memguard.probes.guarded import GuardedProbe


def foreign_probes(config: pytest.Config) -> Mapping[str, Callable[[], Meter]]:
    """The probes of other plugins, by metric; their metrics are known until the run ends.

    Raises:
        pytest.UsageError: if one of them cannot be used.
    """
    found: dict[str, Callable[[], Meter]] = {}
    problems: list[str] = []
    for probe in _all_of(config.hook.pytest_memguard_probes(config=config)):
        metric: Any = getattr(probe, "metric", None)
        problem = _problem_of(metric)
        if problem:
            problems.append(f"the probe {_name_of(probe)}: {problem}")
            continue
        config.add_cleanup(add_metric(metric))
        found[metric.name] = partial(GuardedProbe, probe)
    if problems:
        raise usage_error(problems)
    return found


def load_checks(config: pytest.Config) -> None:
    """Keep the checks of other plugins for the run, and make their markers known to pytest.

    Raises:
        pytest.UsageError: if one of them cannot be used.
    """
    found: dict[str, Check] = {}
    problems: list[str] = []
    hook = config.hook.pytest_memguard_checks
    config.stash[CALLED] = [impl.plugin for impl in hook.get_hookimpls()]
    for check in _all_of(hook(config=config)):
        name = getattr(check, "name", None)
        if not isinstance(check, Check):
            problems.append(f"the check {_name_of(check)}: it is no pytest_memguard.Check")
        elif not isinstance(name, str) or not name.isidentifier():
            problems.append(f"the check {_name_of(check)}: its name {name!r} is no identifier")
        elif name in found:
            problems.append(f"the check {_name_of(check)}: another one is called {name}, too")
        else:
            found[name] = check
    if problems:
        raise usage_error(problems)
    config.stash[CHECKS] = tuple(found.values())
    for check in found.values():
        for line in check.markers:
            config.addinivalue_line("markers", line)


def late_hooks(config: pytest.Config) -> list[Gap]:
    """Checks that are not made, since their hook came with a conftest.py below the root."""
    called = config.stash.get(CALLED, ())
    return [
        Gap(
            subject=f"the checks of {one_line(impl.plugin_name)}",
            reason="they are not made: pytest loaded it after the run had begun; move "
            "pytest_memguard_checks to the conftest.py of the root, or to a plugin",
        )
        for impl in config.hook.pytest_memguard_checks.get_hookimpls()
        if impl.plugin not in called
    ]


def foreign_renderers(config: pytest.Config) -> dict[str, Renderer]:
    """The renderers of other plugins, by the name of their format."""
    return {
        renderer.name: renderer
        for renderer in _all_of(config.hook.pytest_memguard_renderers(config=config))
    }


def _all_of(returned: Iterable[Iterable[Any]]) -> list[Any]:
    """What every plugin has returned, in the order of the plugins."""
    return [one for several in reversed(list(returned)) for one in several]


def _problem_of(metric: object) -> str:
    if not isinstance(metric, Metric):
        return "its metric is no pytest_memguard.Metric"
    if not metric.name.isidentifier():
        return f"its metric's name {metric.name!r} is no identifier"
    if metric.is_resident or metric.is_traced or metric.includes_resident:
        return f"its metric {metric.name} says that it is resident memory, or traced"
    if metric.name in {*METRICS, CHILDREN.name}:
        return f"there is a metric {metric.name} already"
    return ""


def _name_of(thing: object) -> str:
    kind = type(thing)
    return f"{kind.__module__}.{kind.__qualname__}"
