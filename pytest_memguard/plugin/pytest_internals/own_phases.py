"""Whether a test has a setup or a teardown of its own, or its call is all that it does."""

from __future__ import annotations

import gc
from collections.abc import Iterable
from typing import Any, Final

import pytest

from pytest_memguard.plugin.pytest_internals.fixtures import fixture_of
from pytest_memguard.plugin.pytest_internals.items import finalizers_of, used_fixtures
from pytest_memguard.plugin.pytest_internals.plugins import module_of

_HOOKS: Final = ("pytest_runtest_setup", "pytest_runtest_teardown")
_KNOWN: Final = ("_pytest.", "pytest_memguard.")
_OF_A_PARAMETER: Final = "get_direct_param_fixture_func"


def is_all_in_its_call(item: pytest.Item) -> bool:
    """Return whether the setup and the teardown of a test do only what pytest does for all.

    That is so for a function or method that uses no fixture of its own scope, where no plugin
    and no conftest.py takes part in these phases.

    Args:
        item: the test, after its first call.
    """
    return (
        type(item) is pytest.Function
        and not getattr(item.obj, "is_hypothesis_test", False)
        and not _fixtures(item)
        and all(map(fixture_of, (finalizers_of(item) or [])[1:]))  # after its own teardown
        and all(_is_known(item.ihook, name) for name in _HOOKS)
    )


def _fixtures(item: pytest.Function) -> bool:
    """Return whether a test has fixtures that are set up for it, or may ask for more.

    Parameters that may hold other objects count: a test that is set up holds them as well.
    """
    if "request" in item.fixturenames or any(map(gc.is_tracked, _parameters(item))):
        return True
    found: dict[str, Any] = item._fixtureinfo.name2fixturedefs
    definitions = [one for name in item.fixturenames for one in found.get(name, ())]
    return any(
        one.scope == "function" and getattr(one.func, "__name__", "") != _OF_A_PARAMETER
        for one in (*definitions, *used_fixtures(item).values())
    )


def _parameters(item: pytest.Function) -> Iterable[object]:
    specification: Any = getattr(item, "callspec", None)
    return specification.params.values() if specification is not None else ()


def _is_known(hooks: Any, name: str) -> bool:
    implementations = getattr(hooks, name).get_hookimpls()
    return all(module_of(one.plugin).startswith(_KNOWN) for one in implementations)
