"""What pytest keeps of a test between its setup and its teardown."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import pytest

_OF_A_RUN: Final = ("funcargs", "_request", "_instance", "_obj")
"""Attributes of an item that belong to one run of it."""


def setup_nodes(session: pytest.Session) -> dict[Any, Any]:
    """The nodes that are set up now, from the session down, each with its finalizers."""
    stack: dict[Any, Any] = getattr(session._setupstate, "stack", {})
    return stack


def finalizers_of(item: pytest.Item) -> list[Callable[[], object]] | None:
    """What is called when a test is torn down; None if it is not set up."""
    entry = setup_nodes(item.session).get(item)
    return None if entry is None else entry[0]


def has_failed(item: pytest.Item) -> bool:
    """Whether a unittest test has failed, which raises nothing: pytest reports it later."""
    return bool(getattr(item, "_excinfo", None))


def failure_of(item: Any) -> BaseException | None:
    """What a unittest test has failed with first."""
    failures = getattr(item, "_excinfo", None)
    return failures[0].value if failures else None


def has_parts(item: pytest.Item) -> bool:
    """Whether a test may have subtests, which are reported while it runs."""
    is_unittest = hasattr(item, "addSubTest")
    return is_unittest or "subtests" in getattr(item, "fixturenames", ())


def forget_failure(item: Any) -> None:
    """Let a unittest test have failed with nothing."""
    item._excinfo = None


def state_of(item: pytest.Item) -> dict[str, Any]:
    """The attributes of an item that belong to the run that lasts."""
    return {name: vars(item)[name] for name in _OF_A_RUN if name in vars(item)}


def set_state(item: pytest.Item, state: dict[str, Any]) -> None:
    """Put back what `state_of` has returned."""
    for name in _OF_A_RUN:
        vars(item).pop(name, None)
    vars(item).update(state)


def instance_of(item: pytest.Item) -> Any:
    """The instance of its class that a test is called with, if there is one by now."""
    return vars(item).get("_instance")


def set_instance(item: Any, instance: Any) -> None:
    """Let a test be called with an instance."""
    item._instance = instance


def forget_instance(item: pytest.Item) -> None:
    """Let the next call of a test have an instance of its own."""
    vars(item).pop("_instance", None)
    vars(item).pop("_obj", None)


def begin_request(item: Any) -> None:
    """Give a test a new request, as each run of it has one."""
    if hasattr(item, "_initrequest"):
        item._initrequest()


def forget_request(item: Any) -> None:
    """Let go of the request of a run that has ended, and of the values of its fixtures."""
    if "_request" in vars(item):
        item._request = False
        item.funcargs = None


def used_fixtures(item: pytest.Item) -> dict[str, Any]:
    """The definitions of the fixtures that a test has used in this run, by name."""
    found: dict[str, Any] = getattr(vars(item).get("_request"), "_fixture_defs", {})
    return found


def stash_of(item: pytest.Item) -> dict[Any, Any]:
    """What plugins have stashed in an item; to be changed in place."""
    storage: dict[Any, Any] = item.stash._storage
    return storage


def forget_function_scope(item: pytest.Item) -> None:
    """Make the next setup of a test start afresh."""
    setup_nodes(item.session).pop(item, None)
    fixtures = getattr(item, "_fixtureinfo", None)
    for definitions in fixtures.name2fixturedefs.values() if fixtures is not None else ():
        for definition in definitions:
            if definition.scope == "function":
                definition.cached_result = None
                definition._finalizers.clear()
    if isinstance(item, pytest.Function):
        forget_instance(item)
    begin_request(item)
