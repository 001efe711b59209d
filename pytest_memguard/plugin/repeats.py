"""Runs a test again as if nobody were looking: fresh fixtures, no reports, no output."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from pytest_memguard.recording.repeat import CallFailed

if TYPE_CHECKING:
    from typing_extensions import Self

_REPORTING: Final = frozenset(
    {
        "pytest_runtest_logstart",
        "pytest_runtest_logreport",
        "pytest_runtest_logfinish",
        "pytest_exception_interact",
        "pytest_warning_recorded",
    }
)
_LISTS: Final = ("_report_sections", "user_properties", "own_markers")
"""What pytest and plugins append to an item with every run of it."""


class StandIn:
    """Stands for a next test that shares everything but the item itself.

    pytest tears down what the next test does not need; with this one that is what belongs
    to the test alone.
    """

    def __init__(self, item: pytest.Item) -> None:
        self._item = item
        self._chain = item.listchain()[:-1]

    def listchain(self) -> list[Any]:
        """Every node above the test."""
        return list(self._chain)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._item, name)


class _MutedHooks:
    """An item's hooks without those that report; only pytest's own plugins make reports."""

    def __init__(
        self, hooks: Any, makereport: Callable[..., Any], logreport: Callable[..., Any]
    ) -> None:
        self._hooks = hooks
        self.pytest_runtest_makereport = makereport
        self.pytest_runtest_logreport = logreport

    def __getattr__(self, name: str) -> Any:
        hook = _nothing if name in _REPORTING else getattr(self._hooks, name)
        setattr(self, name, hook)
        return hook


def _fixture_of(finalizer: Any) -> Any:
    """The fixture a finalizer of pytest's own finishes, if it is one of those."""
    if (
        not isinstance(finalizer, partial)
        or getattr(finalizer.func, "__name__", "") != "finish"
    ):
        return None
    return getattr(finalizer.func, "__self__", None)


def _nothing(**_: object) -> None:
    return None


def doctest_names(item: pytest.Item) -> dict[str, Any] | None:
    """The names a doctest sees, which it clears when it ends; nothing for other tests."""
    globs = getattr(getattr(item, "dtest", None), "globs", None)
    return dict(globs) if isinstance(globs, dict) else None


class RepeatedItem:
    """A test that has just passed, to be run again.

    Entering tears down what belongs to the test alone; class, module, package and session
    fixtures stay up. Leaving puts the item back into the state in which its first run left
    it, so that pytest goes on with the report of its call.

    Args:
        item: the test, after its call.
        names: what a doctest sees, from `doctest_names` before its first run.
    """

    def __init__(self, item: pytest.Item, names: dict[str, Any] | None = None) -> None:
        self._item: Any = item
        self._names = names
        self._failed_subtest = ""
        self._session: Any = item.session
        self._stand_in = StandIn(item)
        self._exits = contextlib.ExitStack()
        self._saved: dict[str, Any] = {}
        self._stash: dict[Any, Any] = {}
        self._lengths: tuple[int, ...] = ()
        self._warned: list[Any] = []
        self._known: dict[int, int] = {}
        self._defined: dict[int, tuple[list[Any], tuple[Any, ...]]] = {}
        self._gateway = self._session.gethookproxy
        # hypothesis takes it for a mistake if a test is called with another instance
        self._own_instance = (
            isinstance(item, pytest.Function)
            and isinstance(item.parent, pytest.Class)
            and not getattr(item.obj, "is_hypothesis_test", False)
        )
        self._makereport = _builtin_hook(item.config, "pytest_runtest_makereport")

    def tear_down(self) -> BaseException | None:
        """End the first run: tear down what belongs to the test alone.

        Returns:
            What went wrong; the caller has to raise it when pytest asks for the teardown.
        """
        item = self._item
        teardown = _builtin_hook(item.config, "pytest_runtest_teardown")
        stash = dict(item.stash._storage)
        try:
            teardown(item=item, nextitem=self._stand_in)
        except (pytest.exit.Exception, KeyboardInterrupt):
            raise
        except BaseException as error:  # noqa: BLE001  told at the time of the teardown
            return error
        finally:
            item.stash._storage.update(stash)
        return None

    def __enter__(self) -> Self:
        item = self._item
        self._saved = {
            name: item.__dict__[name]
            for name in ("funcargs", "_request", "_instance", "_obj")
            if name in item.__dict__
        }
        self._stash = dict(item.stash._storage)
        self._lengths = tuple(len(getattr(item, name)) for name in _LISTS)
        hooks: dict[Any, _MutedHooks] = {}

        def muted(path: Any) -> _MutedHooks:
            found = self._gateway(path)
            known = hooks.get(found)
            if known is None:
                known = hooks[found] = _MutedHooks(found, self._makereport, self._note_report)
            return known

        self._session.gethookproxy = muted
        self._exits.callback(self._restore)
        self._watch_registry()
        # the very list, which is empty now
        self._warned = self._exits.enter_context(warnings.catch_warnings(record=True))
        self._exits.enter_context(_quiet_logs(item.config))
        self._exits.enter_context(_quiet_assertions())
        if item.config.getoption("capture", "fd") != "fd":
            self._exits.enter_context(_quiet_descriptors())
        return self

    def __exit__(self, *_: object) -> None:
        self._exits.close()

    def __call__(self) -> None:
        """Run the test once more, with all that belongs to it alone made anew.

        Raises:
            CallFailed: if it did not pass.
        """
        item = self._item
        self._renew()
        problem = self._phase("setup", item.ihook.pytest_runtest_setup, {})
        if not problem:
            problem = self._phase("call", item.ihook.pytest_runtest_call, {})
            problem = problem or self._failed_subtest
        folder = self._tmp_path()
        torn = self._phase(
            "teardown", item.ihook.pytest_runtest_teardown, {"nextitem": self._stand_in}
        )
        self._forget(folder)
        if problem or torn:
            raise CallFailed(problem or torn)

    def _phase(self, when: Any, hook: Callable[..., Any], more: dict[str, Any]) -> str:
        """Run one phase; what went wrong, in words, or nothing."""
        item = self._item
        call = pytest.CallInfo.from_call(
            lambda: hook(item=item, **more),
            when=when,
            reraise=(pytest.exit.Exception, KeyboardInterrupt),
        )
        # pytest's plugins keep what they need for the teardown when they make the report
        self._makereport(item=item, call=call)
        if call.excinfo is None:
            return ""
        text = str(call.excinfo.value).partition("\n")[0]
        return f"{call.excinfo.typename}: {text}" if text else call.excinfo.typename

    def _note_report(self, report: pytest.TestReport) -> None:
        """Note that a subtest has failed: the only ones to report in the middle of a test."""
        if report.failed:
            crash = getattr(report.longrepr, "reprcrash", None)
            text = str(getattr(crash, "message", report.longrepr)).partition("\n")[0]
            self._failed_subtest = f"a subtest failed: {text}"

    def _renew(self) -> None:
        item = self._item
        self._failed_subtest = ""
        if self._names is not None:
            item.dtest.globs.update(self._names)
        if self._own_instance:
            item.__dict__.pop("_instance", None)
            item.__dict__.pop("_obj", None)
        if hasattr(item, "_initrequest"):
            item._initrequest()

    def _drop_finalizers(self) -> None:
        """Drop what pytest appends to wider nodes and fixtures each time they are asked for.

        The first of these is enough; those of a fixture that has been set up in this very
        call are no copies and stay.
        """
        item = self._item
        stack = getattr(self._session._setupstate, "stack", {})
        for node, entry in stack.items():
            if node is not item:
                self._drop_copies(entry[0])
        for definition in getattr(item.__dict__.get("_request"), "_fixture_defs", {}).values():
            if definition.scope != "function":
                self._drop_copies(getattr(definition, "_finalizers", []))

    def _drop_copies(self, finalizers: list[Any]) -> None:
        start = self._known.setdefault(id(finalizers), len(finalizers))
        if len(finalizers) <= start:
            return
        there = {id(_fixture_of(finalizer)) for finalizer in finalizers[:start]}
        kept = []
        for finalizer in finalizers[start:]:
            fixture = _fixture_of(finalizer)
            finished = fixture is not None and fixture.cached_result is None
            if fixture is None or not (finished or id(fixture) in there):
                kept.append(finalizer)
                there.add(id(fixture))
        finalizers[start:] = kept
        self._known[id(finalizers)] = len(finalizers)

    def _watch_registry(self) -> None:
        """Note the fixtures that a plugin defines while the test runs, as pytest-bdd does.

        They are defined for this test, so a run of the suite has them once.
        """
        manager = self._session._fixturemanager
        register = getattr(manager, "_register_fixture", None)  # since pytest 8.1
        if register is None:
            return

        def noting(**given: Any) -> None:
            for found in _definitions(manager, given["name"]):
                self._defined.setdefault(id(found), (found, tuple(found)))
            register(**given)
            for found in _definitions(manager, given["name"]):
                self._defined.setdefault(id(found), (found, ()))

        manager._register_fixture = noting
        self._exits.callback(delattr, manager, "_register_fixture")

    def _tmp_path(self) -> Any:
        """The test's own temporary folder, if it has one."""
        request = self._item.__dict__.get("_request")
        definition = getattr(request, "_fixture_defs", {}).get("tmp_path")
        result = getattr(definition, "cached_result", None)
        return result[0] if result is not None else None

    def _forget(self, folder: Any) -> None:
        """Undo what pytest keeps of every run of a test."""
        item = self._item
        self._drop_finalizers()
        for found, before in self._defined.values():
            found[:] = before
        self._defined.clear()
        for name, length in zip(_LISTS, self._lengths, strict=True):
            del getattr(item, name)[length:]
        item.stash._storage.clear()
        item.stash._storage.update(self._stash)
        self._warned.clear()
        if "_request" in item.__dict__:
            item._request = False
            item.funcargs = None
        if folder is not None:
            # otherwise every call would scan the folders of all calls before
            shutil.rmtree(folder, ignore_errors=True)
            _use_again(item.config, folder.name)

    def _restore(self) -> None:
        item = self._item
        del self._session.gethookproxy
        for name in ("funcargs", "_request", "_instance", "_obj"):
            item.__dict__.pop(name, None)
        item.__dict__.update(self._saved)
        _point_back(self._saved.get("funcargs"))
        key = getattr(sys.modules.get("_pytest.subtests"), "failed_subtests_key", None)
        if key is not None:  # it passed the first time
            item.config.stash.get(key, {}).pop(getattr(item, "id", item.nodeid), None)
        os.environ["PYTEST_CURRENT_TEST"] = f"{item.nodeid} (call)".replace("\x00", "(null)")


def _definitions(manager: Any, name: str) -> Iterator[list[Any]]:
    """Every list in which pytest keeps fixtures of a name, and the names of autouse ones."""
    for attribute in ("_arg2node2fixturedefs", "_arg2nodeid2fixturedefs", "_arg2fixturedefs"):
        found = getattr(manager, attribute, {}).get(name)
        if found is not None:
            yield from found.values() if isinstance(found, dict) else (found,)
    for attribute in ("_node_autousenames", "_nodeid_autousenames"):
        yield from getattr(manager, attribute, {}).values()


def _use_again(config: pytest.Config, name: str) -> None:
    """Let the next call's temporary folder have the same name.

    What is kept by name, such as values of the environment, which the C library never frees,
    would be another one in every call.
    """
    numbers = getattr(getattr(config, "_tmp_path_factory", None), "_next_number", {})
    for prefix, number in _numbered(name):
        if numbers.get(prefix.lower()) == number + 1:
            numbers[prefix.lower()] = number


def _numbered(name: str) -> Iterator[tuple[str, int]]:
    """The ways to split a name into a prefix and the number at its end."""
    for digits in range(1, len(name) - len(name.rstrip("0123456789")) + 1):
        yield name[:-digits], int(name[-digits:])


def _point_back(fixtures: dict[str, Any] | None) -> None:
    """Let pytest's link to the latest folder of a test lead to that of its one run again."""
    folder = (fixtures or {}).get("tmp_path")
    if not isinstance(folder, Path) or not folder.is_dir():
        return
    for prefix, _ in _numbered(folder.name):
        link = folder.parent / f"{prefix}current"
        if link.is_symlink() and not link.exists():
            with contextlib.suppress(OSError):
                link.unlink()
                link.symlink_to(folder, target_is_directory=True)


def _builtin_hook(config: pytest.Config, name: str) -> Any:
    """A hook that calls pytest's own plugins alone."""
    manager = config.pluginmanager
    others = [
        plugin
        for plugin in manager.get_plugins()
        if not _module_of(plugin).startswith("_pytest.")
    ]
    return manager.subset_hook_caller(name, others)


def _module_of(plugin: object) -> str:
    if isinstance(plugin, type(sys)):
        return plugin.__name__
    return type(plugin).__module__


@contextlib.contextmanager
def _quiet_logs(config: pytest.Config) -> Iterator[None]:
    """Keep live logs and the log file to the first run."""
    plugin = config.pluginmanager.getplugin("logging-plugin")
    handlers = [getattr(plugin, name, None) for name in ("log_cli_handler", "log_file_handler")]
    found = [handler for handler in handlers if isinstance(handler, logging.Handler)]
    for handler in found:
        handler.addFilter(_refuse)
    try:
        yield
    finally:
        for handler in found:
            handler.removeFilter(_refuse)


def _refuse(_: logging.LogRecord) -> bool:
    return False


@contextlib.contextmanager
def _quiet_assertions() -> Iterator[None]:
    """Tell nobody of assertions that hold; pytest has fetched that hook already."""
    util: Any = sys.modules.get("_pytest.assertion.util")
    told = getattr(util, "_assertion_pass", None)
    if told is None:
        yield
        return
    util._assertion_pass = None
    try:
        yield
    finally:
        util._assertion_pass = told


@contextlib.contextmanager
def _quiet_descriptors() -> Iterator[None]:
    """Where descriptors are not captured, keep what repetitions print from the terminal."""
    _flush()
    nowhere = os.open(os.devnull, os.O_WRONLY)
    kept = [(number, os.dup(number)) for number in (1, 2)]
    for number, _ in kept:
        os.dup2(nowhere, number)
    os.close(nowhere)
    try:
        yield
    finally:
        _flush()
        for number, copy in kept:
            os.dup2(copy, number)
            os.close(copy)


def _flush() -> None:
    """Empty the buffers of all that writes to the terminal."""
    for stream in {sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__} - {None}:
        with contextlib.suppress(ValueError, OSError, AttributeError):
            stream.flush()  # type: ignore[union-attr]


def seconds_left(item: pytest.Item, started: float) -> float | None:
    """Seconds until pytest-timeout would end the test; ``None`` where it is not in use.

    Args:
        item: the test.
        started: when its protocol began, by `time.monotonic`.
    """
    manager = item.config.pluginmanager
    if not (manager.hasplugin("timeout") or manager.hasplugin("pytest_timeout")):
        return None
    mark = item.get_closest_marker("timeout")
    value: Any = None
    if mark is not None:
        value = mark.args[0] if mark.args else mark.kwargs.get("timeout")
    for source in (
        lambda: item.config.getoption("timeout", None),
        lambda: os.environ.get("PYTEST_TIMEOUT"),
        lambda: item.config.getini("timeout"),
    ):
        if value is None or value == "":
            with contextlib.suppress(ValueError, KeyError):
                value = source()
    try:
        seconds = float(value)
    except (TypeError, ValueError):
        return None
    return seconds - (time.monotonic() - started) if seconds > 0 else None
