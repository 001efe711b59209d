"""Runs pytest with the plugin on little projects of a test's own."""

from __future__ import annotations

import contextlib
import contextvars
import ctypes
import gc
import json
import pkgutil
import shutil
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from importlib import import_module
from pathlib import Path
from textwrap import dedent
from typing import Any, Protocol

import pytest

import pytest_memguard
from pytest_memguard.allocator import free_lists
from pytest_memguard.measure.stage_host import set_current
from tests.support.checked_functions import checked
from tests.support.forked_pytest import fresh_pytest
from tests.support.fresh_process import AVAILABLE

# pytester forgets what a run has imported: memray cannot be loaded a second time, hypothesis
# complains of a second trio, and the others would be loaded once more for every run
for _module in (
    "memray",
    "psutil",
    "psycopg",
    "sqlalchemy.dialects.postgresql.psycopg",
    "tabulate",
    "trio",
    "hypothesis",
):
    with contextlib.suppress(ImportError):
        import_module(_module)
for _info in pkgutil.walk_packages(pytest_memguard.__path__, "pytest_memguard."):
    if not _info.name.endswith("__main__"):
        import_module(_info.name)

_M_MMAP_THRESHOLD = -3
CI_NAMES = ("GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY", "GITHUB_WORKSPACE", "CI_PROJECT_DIR")


@pytest.fixture(scope="session", autouse=True)
def large_blocks_come_and_go() -> None:
    """Let the C library map every block from 1 MiB on, and unmap it when it is freed.

    Otherwise it keeps some of them, depending on what other tests have done before, and
    resident memory would not rise by what a test allocates. (test_slack.py wants just that,
    in processes of its own.)
    """
    with contextlib.suppress(OSError, AttributeError, TypeError):  # not glibc
        ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, 1 << 20)


class Run(Protocol):
    """What the ``run`` fixture is."""

    def __call__(
        self,
        source: str | None = None,
        *flags: object,
        plugins: Sequence[str] = (),
        cache: bool = False,
        here: bool = False,
        subprocess: bool = False,
        without: bool = False,
    ) -> pytest.RunResult:
        """Run pytest with the plugin in a folder of the test's own.

        Args:
            source: becomes test_it.py; None where the test has written its files itself.
            flags: pytest's.
            plugins: modules of other plugins; none is loaded by itself.
            cache: whether pytest has its cache.
            here: whether pytest runs in this process, whatever that has done before.
            subprocess: whether pytest runs in a new interpreter.
            without: whether our plugin is left out.
        """


@pytest.fixture
def no_records(pytester: pytest.Pytester) -> Iterator[None]:
    """Remove the flight records of lost workers: without a cache they are temporary files."""
    yield
    found = pytester.path.stat()
    name = f"memguard-flight-*-{found.st_dev:x}-{found.st_ino:x}"
    for folder in Path(tempfile.gettempdir()).glob(name):
        shutil.rmtree(folder)


@pytest.fixture
def run(
    pytester: pytest.Pytester,
    monkeypatch: pytest.MonkeyPatch,
    no_records: None,  # noqa: ARG001  it cleans up
) -> Run:
    """Run pytest with the plugin, in a fork of a process without a past."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.setenv("COLUMNS", "160")
    for name in ("PYTEST_ADDOPTS", "PYTEST_XDIST_WORKER", "CI", "BUILD_NUMBER", *CI_NAMES):
        monkeypatch.delenv(name, raising=False)
    make_recorder = pytester.make_hook_recorder

    def make_idle_recorder(manager: pytest.PytestPluginManager) -> pytest.HookRecorder:
        """Record no hooks: the records would be growth, and nobody here reads them."""
        recorder = make_recorder(manager)
        recorder.finish_recording()
        return recorder

    monkeypatch.setattr(pytester, "make_hook_recorder", make_idle_recorder)

    def run(
        source: str | None = None,
        *flags: object,
        plugins: Sequence[str] = (),
        cache: bool = False,
        here: bool = False,
        subprocess: bool = False,
        without: bool = False,
    ) -> pytest.RunResult:
        if source is not None:
            path = pytester.path / "test_it.py"
            path.write_text(dedent(source), encoding="utf-8")
        loaded = [*([] if without else ["pytest_memguard.plugin.hooks"]), *plugins]
        arguments = [part for name in loaded for part in ("-p", name)]
        if not cache:
            arguments += ["-p", "no:cacheprovider"]
        arguments += map(str, flags)
        if subprocess or not (here or AVAILABLE):
            return pytester.runpytest_subprocess(*arguments)
        if not here:
            base = pytester.path.parent / "basetemp"
            return fresh_pytest([f"--basetemp={base}", *arguments], pytester.path)
        for name in ("last_type", "last_value", "last_traceback", "last_exc"):
            if hasattr(sys, name):
                delattr(sys, name)  # holds what a test of the run before has failed with
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)  # what it leaked on purpose
            # garbage of the run before must not go away in the middle of this one
            gc.collect()
        # that run's collections need not look at all of this suite, nor count it; what is here
        # now stays frozen, or the next collection of this suite would take as long
        free_lists.freeze()
        host = set_current(None)  # whoever measures this test is not to see stages of that run
        try:
            with warnings.catch_warnings():
                warnings.resetwarnings()  # what is an error in this suite is none in that one
                context = contextvars.copy_context()
                return context.run(pytester.runpytest_inprocess, *arguments)
        finally:
            set_current(host)
            free_lists._Frozen.here = False

    return run


@pytest.fixture
def measured_once(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: ARG001  it clears that
    """Have no test of a run measured again in a fresh process, which tests of that do."""
    monkeypatch.setenv("PYTEST_ADDOPTS", "--mem-confirm=0")


_saved: dict[tuple[object, ...], str] = {}
"""Baselines that runs have saved, by their flags and the files that they found."""


@pytest.fixture
def saved(pytester: pytest.Pytester, run: Run) -> Callable[..., None]:
    """Save a baseline with a run, or the same file as such a run has saved before.

    For tests of what comes after that: the same code on the same machine saves the same file.
    """

    def saved(source: str, *flags: str) -> None:
        file = pytester.path / ".memguard" / "baseline.json"
        (pytester.path / "test_it.py").write_text(dedent(source), encoding="utf-8")
        found = sorted(path for path in pytester.path.iterdir() if path.is_file())
        known = (*flags, *((path.name, path.read_bytes()) for path in found))
        if known in _saved:
            file.parent.mkdir()
            file.write_text(_saved[known], encoding="utf-8")
        else:
            assert run(None, "--mem-save", *flags).ret == pytest.ExitCode.OK
            _saved[known] = file.read_text(encoding="utf-8")

    return saved


@pytest.fixture
def leaks(tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """Check functions of a source without pytest; returns what `written` does.

    For what does not depend on pytest: it takes half the time. See `checked` for the arguments.
    """
    return partial(checked, tmp_path)


@pytest.fixture
def written(pytester: pytest.Pytester) -> Callable[[], dict[str, Any]]:
    """Read what a run with --mem-json=out.json wrote: every test, by its function's name."""

    def written() -> dict[str, Any]:
        data = json.loads((pytester.path / "out.json").read_text(encoding="utf-8"))
        return {test["nodeid"].rpartition("::")[2]: test for test in data["tests"]}

    return written
