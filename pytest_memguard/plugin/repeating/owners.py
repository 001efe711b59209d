"""Finds the objects of pytest and its plugins: what they keep is no leak of a test."""

from __future__ import annotations

from types import ModuleType
from typing import Final

import pytest

from pytest_memguard.attribution.session_owners import Owners

_PYTEST: Final = "pytest"
_MACHINERY: Final = ("_pytest", "pluggy")
_OURS: Final = "pytest_memguard"


def owners_of(config: pytest.Config) -> Owners:
    """The plugin manager and every plugin, and what each is called.

    A ``conftest.py`` is a plugin only in name: what it keeps is the project's own. What our
    own plugin keeps would be a fault, and is not excused.

    Args:
        config: the configuration of pytest.
    """
    manager = config.pluginmanager
    distributions = {
        _top_of(plugin): dist.project_name for plugin, dist in manager.list_plugin_distinfo()
    }
    found: list[tuple[object, str]] = [(manager, _PYTEST)]
    for name, plugin in manager.list_name_plugin():
        if plugin is None or _is_of_project(name, plugin):
            continue
        top = _top_of(plugin)
        if top in _MACHINERY:
            found.append((plugin, _PYTEST))
        elif top != _OURS:
            plugin_name = distributions.get(top) or _name(name, plugin)
            found.append((plugin, f"plugin {plugin_name}"))
    return found


def _is_of_project(name: str, plugin: object) -> bool:
    return isinstance(plugin, ModuleType) and name.endswith("conftest.py")


def _top_of(plugin: object) -> str:
    return _module_of(plugin).partition(".")[0]


def _module_of(plugin: object) -> str:
    if isinstance(plugin, ModuleType):
        return plugin.__name__
    kind = plugin if isinstance(plugin, type) else type(plugin)
    return kind.__module__


def _name(name: str, plugin: object) -> str:
    """The name it is registered under, or its class where that is a number."""
    return name if not name.isdecimal() else f"{_module_of(plugin)}.{type(plugin).__qualname__}"
