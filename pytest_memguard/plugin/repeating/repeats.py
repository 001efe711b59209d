"""Runs a test again unseen by pytest and plugins: fresh fixtures, no reports, no output."""

from __future__ import annotations

import contextlib
import gc
import os
import shutil
import warnings
from collections.abc import Callable, Iterator
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, Final, Literal

import pytest

from pytest_memguard.allocator.garbage import collect
from pytest_memguard.plugin.pytest_internals import items as internals
from pytest_memguard.plugin.pytest_internals.assertions import quiet_assertions
from pytest_memguard.plugin.pytest_internals.fixtures import Definitions, Finalizers
from pytest_memguard.plugin.pytest_internals.plugins import (
    builtin_hook,
    forget_failed_subtests,
)
from pytest_memguard.plugin.repeating.function_traces import FunctionTraces
from pytest_memguard.plugin.repeating.quiet import (
    MutedHooks,
    quiet_descriptors,
    quiet_logs,
)
from pytest_memguard.plugin.repeating.restored import Restored, enlarge_environ
from pytest_memguard.plugin.repeating.temp_folders import point_back, use_again
from pytest_memguard.recording.calls import CallFailed, TimedCall

if TYPE_CHECKING:
    from typing import Self

Phase = Literal["setup", "call", "teardown"]
_LISTS: Final = ("_report_sections", "user_properties", "own_markers")
"""What pytest and plugins append to an item with every run of it."""
_OUTCOMES: Final = (pytest.fail.Exception, pytest.skip.Exception, pytest.xfail.Exception)
"""What code raises that ends a phase of a test on purpose; no subclasses of Exception."""


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


def doctest_names(item: pytest.Item) -> dict[str, Any] | None:
    """The names a doctest sees, which it clears when it ends; nothing for other tests."""
    globs = getattr(getattr(item, "dtest", None), "globs", None)
    return dict(globs) if isinstance(globs, dict) else None


class RepeatedItem:
    """A test that has just passed, to be run again.

    Its first run is torn down before, as far as that belongs to the test alone: class, module,
    package and session fixtures stay up. Afterwards it is set up once more. So there is a
    teardown for each setup, with the hooks of all plugins, of which pytest makes the last.

    Args:
        item: the test, after its call.
        names: what a doctest sees, from `doctest_names` before its first run.
        filters: the filters of warnings before its first call.

    Attributes:
        went_wrong: whether a repetition did not pass.
    """

    def __init__(
        self,
        item: pytest.Item,
        names: dict[str, Any] | None = None,
        filters: list[Any] | None = None,
    ) -> None:
        self._item: Any = item
        self._names = names
        self._failed_subtest = ""
        self._session: Any = item.session
        self._stand_in = StandIn(item)
        self._exits = contextlib.ExitStack()
        self._saved: dict[str, Any] = {}
        self._stash: dict[Any, Any] = {}
        self._lengths: tuple[int, ...] = ()
        found = list(warnings.filters) if filters is None else filters
        self._restored = Restored(item.config, found)
        self._finalizers = Finalizers(item)
        self._definitions = Definitions(item.session)
        self._attributes = FunctionTraces(item)
        self._gateway = self._session.gethookproxy
        # hypothesis takes it for a mistake if a test is called with another instance
        is_property = getattr(getattr(item, "obj", None), "is_hypothesis_test", False)
        is_method = isinstance(item, pytest.Function) and isinstance(item.parent, pytest.Class)
        self._own_instance = is_method and not is_property
        self._instance = internals.instance_of(item) if is_property else None
        self._folder: Any = None
        self.went_wrong = False

    def __enter__(self) -> Self:
        item = self._item
        self._saved = internals.state_of(item)
        self._stash = dict(internals.stash_of(item))
        enlarge_environ()
        self._exits.callback(self._restore)
        if self._definitions.watch():
            self._exits.callback(self._definitions.unwatch)
        self._exits.enter_context(self._quiet())
        return self

    def __exit__(self, *_: object) -> None:
        self._exits.close()

    @contextlib.contextmanager
    def _quiet(self) -> Iterator[None]:
        """Keep what is run meanwhile from all that report it."""
        item = self._item
        self._lengths = tuple(len(getattr(item, name)) for name in _LISTS)
        hooks: dict[Any, MutedHooks] = {}

        def muted(path: Any) -> MutedHooks:
            # by path: where several folders have a conftest.py, each call makes a new proxy
            known = hooks.get(path)
            if known is None:
                found = self._gateway(path)
                known = hooks[path] = MutedHooks(found, self._make_report, self._note_report)
            return known

        self._session.gethookproxy = muted
        try:
            with contextlib.ExitStack() as exits:
                exits.enter_context(self._restored.around_repetitions())
                exits.enter_context(quiet_logs(item.config))
                exits.enter_context(quiet_assertions())
                if item.config.getoption("capture", "fd") != "fd":
                    exits.enter_context(quiet_descriptors())
                yield
        finally:
            del self._session.gethookproxy

    def __call__(self) -> None:
        """Run the test once more, with all that belongs to it alone made anew.

        Raises:
            CallFailed: if it did not pass.
        """
        with self._restored.around_one():
            self._run()

    def tear_down(self) -> BaseException | None:
        """Tear the first run down.

        Returns:
            What went wrong; the caller has to raise it when pytest asks for the teardown.
        """
        with self._restored.around_phase():
            call = self._run_phase("teardown", self._hook_of("teardown"))
        self._restored.note_folder()
        self._forget(None)
        return call.excinfo.value if call.excinfo is not None else None

    def set_up(self) -> None:
        """Set the test up for the teardown that pytest is about to make."""
        with self._quiet(), self._restored.around_phase():
            self._renew()
            self._attributes.begin()
            problem = self._phase("setup", self._hook_of("setup"))
            self._attributes.drop()
            if problem:
                self._phase("teardown", self._hook_of("teardown"))
                self._forget(None)
            else:
                self._quiet_finalizers()
        self._trim()
        self._folder = self._tmp_path()

    def _quiet_finalizers(self) -> None:
        """Let no test fail with an error of the one teardown that it has only for our sake.

        It has had as many without an error. Some items expect that they were called meanwhile.
        """
        getattr(self._item, "instance", None)  # which the teardown of a unittest drops
        finalizers = internals.finalizers_of(self._item)
        if finalizers is not None:
            finalizers[:] = [partial(_call_quietly, finalizer) for finalizer in finalizers]

    def clean_up(self) -> None:
        """Remove what that setup has left on disk, once it is torn down."""
        if self._folder is not None:
            self._remove(self._folder)
            self._folder = None
            point_back(self._saved.get("funcargs"))

    def is_called(self) -> None:
        """Note that the test's own code begins: all that came before was for its sake."""
        self._attributes.is_called()
        if TimedCall.lasts and gc.isenabled():
            collect()  # or its objects get memory that fixtures and hooks have allocated

    def _run(self) -> None:
        self._renew()
        self._attributes.begin()
        problem = self._phase("setup", self._hook_of("setup"))
        if not problem:
            problem = self._phase("call", self._hook_of("call"))
            problem = problem or self._failed_subtest
        folder = self._tmp_path()
        torn = self._phase("teardown", self._hook_of("teardown"))
        self._forget(folder)
        self._finish(problem or torn)

    def _finish(self, problem: str) -> None:
        if problem:
            self.went_wrong = True
            raise CallFailed(problem)

    def _hook_of(self, when: Phase) -> Callable[[], object]:
        """What runs a phase of the test, with the hooks of all plugins."""
        item = self._item
        if when == "setup":
            return partial(item.ihook.pytest_runtest_setup, item=item)
        if when == "call":
            return partial(item.ihook.pytest_runtest_call, item=item)
        return partial(item.ihook.pytest_runtest_teardown, item=item, nextitem=self._stand_in)

    def _phase(self, when: Phase, hook: Callable[[], object]) -> str:
        """Run one phase; what went wrong, in words, or nothing."""
        call = self._run_phase(when, hook)
        if call.excinfo is None:
            return ""
        text = str(call.excinfo.value).partition("\n")[0]
        return f"{call.excinfo.typename}: {text}" if text else call.excinfo.typename

    def _run_phase(self, when: Phase, hook: Callable[[], object]) -> pytest.CallInfo[object]:
        call = pytest.CallInfo.from_call(
            hook, when=when, reraise=(pytest.exit.Exception, KeyboardInterrupt)
        )
        if call.excinfo is not None or self._is_torn_down_after(when):
            # pytest's plugins find out then what failed, and keep what the teardown needs
            self._make_report(item=self._item, call=call)
        return call

    def _make_report(self, **given: Any) -> Any:
        return self._builtin_makereport(**given)

    @cached_property
    def _builtin_makereport(self) -> Callable[..., Any]:
        hook: Callable[..., Any] = builtin_hook(self._item.config, "pytest_runtest_makereport")
        return hook

    def _is_torn_down_after(self, when: Phase) -> bool:
        return when == "call"

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
            internals.forget_instance(item)
        if self._instance is not None:  # which the teardown of a unittest forgets
            internals.set_instance(item, self._instance)
        internals.begin_request(item)

    def _tmp_path(self) -> Any:
        """The test's own temporary folder, if it has one."""
        definition = internals.used_fixtures(self._item).get("tmp_path")
        result = getattr(definition, "cached_result", None)
        return result[0] if result is not None else None

    def _forget(self, folder: Any) -> None:
        """Undo what pytest keeps of every run of a test."""
        item = self._item
        self._finalizers.drop()
        self._definitions.drop()
        self._attributes.drop()
        self._trim()
        stash = internals.stash_of(item)
        stash.clear()
        stash.update(self._stash)
        internals.forget_request(item)
        if folder is not None:
            # otherwise every call would scan the folders of all calls before
            self._remove(folder)

    def _trim(self) -> None:
        """Drop what was appended to the item since its first run."""
        for name, length in zip(_LISTS, self._lengths, strict=True):
            del getattr(self._item, name)[length:]

    def _remove(self, folder: Any) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        use_again(self._item.config, folder.name)

    def _restore(self) -> None:
        item = self._item
        if item not in internals.setup_nodes(self._session):  # else it was interrupted
            internals.set_state(item, self._saved)
        point_back(self._saved.get("funcargs"))
        forget_failed_subtests(item)  # it passed the first time
        os.environ["PYTEST_CURRENT_TEST"] = f"{item.nodeid} (call)".replace("\x00", "(null)")


def _call_quietly(finalizer: Callable[[], object]) -> None:
    with contextlib.suppress(Exception, *_OUTCOMES):
        finalizer()
