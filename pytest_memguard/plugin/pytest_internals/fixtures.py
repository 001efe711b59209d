"""Undoes what pytest and its plugins keep for fixtures with every run of the same test."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest

from pytest_memguard.plugin.pytest_internals.items import setup_nodes, used_fixtures


class Finalizers:
    """What pytest appends to wider nodes and fixtures each time a test asks for them.

    Args:
        item: the test.
    """

    def __init__(self, item: pytest.Item) -> None:
        self._item: Any = item
        self._session: Any = item.session
        self._known: dict[int, int] = {}

    def drop(self) -> None:
        """Drop all but the first of these.

        Those of a fixture that has been set up in this very call are no copies and stay.
        """
        item = self._item
        for node, entry in setup_nodes(self._session).items():
            if node is not item:
                self._drop_copies(entry[0])
        for definition in used_fixtures(item).values():
            if definition.scope != "function":
                self._drop_copies(getattr(definition, "_finalizers", []))

    def _drop_copies(self, finalizers: list[Any]) -> None:
        start = self._known.setdefault(id(finalizers), len(finalizers))
        if len(finalizers) <= start:
            return
        there = {id(fixture_of(finalizer)) for finalizer in finalizers[:start]}
        kept = []
        for finalizer in finalizers[start:]:
            fixture = fixture_of(finalizer)
            finished = fixture is not None and fixture.cached_result is None
            if fixture is None or not (finished or id(fixture) in there):
                kept.append(finalizer)
                there.add(id(fixture))
        finalizers[start:] = kept
        self._known[id(finalizers)] = len(finalizers)


def fixture_of(finalizer: Any) -> Any:
    """The fixture a finalizer of pytest's own finishes, if it is one of those."""
    if (
        not isinstance(finalizer, partial)
        or getattr(finalizer.func, "__name__", "") != "finish"
    ):
        return None
    return getattr(finalizer.func, "__self__", None)


class Definitions:
    """The fixtures that a plugin defines while a test runs, as pytest-bdd does.

    They are defined for this test, so a run of the suite has them once.

    Args:
        session: the session of the test.
    """

    def __init__(self, session: pytest.Session) -> None:
        self._manager: Any = session._fixturemanager
        self._before: dict[int, tuple[list[Any], tuple[Any, ...]]] = {}

    def watch(self) -> bool:
        """Note them from now on.

        Returns:
            Whether this pytest, 8.1 or later, lets them be noted; `unwatch` if so.
        """
        manager = self._manager
        register = getattr(manager, "_register_fixture", None)
        if register is None:
            return False

        def noting(**given: Any) -> None:
            for found in _definitions(manager, given["name"]):
                self._before.setdefault(id(found), (found, tuple(found)))
            register(**given)
            for found in _definitions(manager, given["name"]):
                self._before.setdefault(id(found), (found, ()))

        manager._register_fixture = noting
        return True

    def unwatch(self) -> None:
        """Note them no longer."""
        del self._manager._register_fixture

    def drop(self) -> None:
        """Drop those noted so far."""
        for found, before in self._before.values():
            found[:] = before
        self._before.clear()


def _definitions(manager: Any, name: str) -> Iterator[list[Any]]:
    """Every list in which pytest keeps fixtures of a name, and the names of autouse ones."""
    for attribute in ("_arg2node2fixturedefs", "_arg2nodeid2fixturedefs", "_arg2fixturedefs"):
        found = getattr(manager, attribute, {}).get(name)
        if found is not None:
            yield from found.values() if isinstance(found, dict) else (found,)
    for attribute in ("_node_autousenames", "_nodeid_autousenames"):
        yield from getattr(manager, attribute, {}).values()
