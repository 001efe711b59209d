"""Whether a plugin hands on what reports of tests carry for others: JUnit files, for one."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from types import CodeType, FunctionType, ModuleType
from typing import Any, Final

import pytest

_READ: Final = frozenset({"user_properties", "pytest_report_to_serializable"})
"""Names in the code of a plugin that does."""
_OTHERS: Final = frozenset({"_pytest", "pytest", "pluggy", "xdist", "pytest_memguard"})
"""Packages that do so only if an option asks for it."""
_CONFTEST: Final = "conftest.py"


def properties_are_read(manager: pytest.PytestPluginManager) -> bool:
    """Whether the code of any plugin names the properties of a test.

    Args:
        manager: knows the plugins.
    """
    modules = {_module_of(plugin) for plugin in manager.get_plugins()}
    alone = {name for name in modules if _is_conftest(name)}
    packages = {name.partition(".")[0] for name in modules - alone} - _OTHERS
    return any(
        _names_them(module)
        for name, module in list(sys.modules.items())
        if type(module) is ModuleType and (name in alone or name.partition(".")[0] in packages)
    )


def _module_of(plugin: object) -> str:
    return plugin.__name__ if isinstance(plugin, ModuleType) else type(plugin).__module__


def _is_conftest(name: str) -> bool:
    file = getattr(sys.modules.get(name), "__file__", None) or ""
    return file.endswith(_CONFTEST)


def _names_them(module: ModuleType) -> bool:
    """Whether a function of a module does, or one of its classes.

    Types alone are asked: an attribute of what stands for another object may load that, or
    raise.
    """
    for value in list(vars(module).values()):
        members: tuple[object, ...] = (value,)
        if issubclass(type(value), type) and vars(value).get("__module__") == module.__name__:
            members = tuple(vars(value).values())
        if any(
            not _READ.isdisjoint(_names_in(code)) for code in map(_code_of, members) if code
        ):
            return True
    return False


def _code_of(value: Any) -> CodeType | None:
    if type(value) in {staticmethod, classmethod}:
        value = value.__func__
    elif type(value) is property:
        value = value.fget
    return value.__code__ if type(value) is FunctionType else None


def _names_in(code: CodeType) -> Iterator[str]:
    """Names of attributes and globals in a function, and in those inside it."""
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names_in(constant)
