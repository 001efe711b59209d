"""Runs of pytest in forks of a process that has imported what they need."""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import inspect
import os
import pkgutil
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest
from _pytest import fixtures
from _pytest.config import default_plugins
from _pytest.fixtures import FixtureManager

import pytest_memguard
from pytest_memguard.allocator import free_lists
from pytest_memguard.probes.surviving_blocks import warm_up
from tests.support.forked_samplers import fork_samplers
from tests.support.forked_workers import fork_spares
from tests.support.fresh_process import server
from tests.support.ready_config import make_configs, remember_entry_points

_LEAK_CHECK = "tests.support.forked_leak_check"
_PLUGINS = ("xdist.plugin", "pytest_rerunfailures")
_MADV_POPULATE_READ = 22
_WORKERS = 3  # of pytest-xdist, in the runs that have any; some are lost and replaced


def load(ours: Iterable[str] = ()) -> None:
    """Import pytest, the package, and what both need in most runs.

    Args:
        ours: the modules of the package that are imported, if not all are.
    """
    ours = list(ours) or [
        info.name
        for info in pkgutil.walk_packages(pytest_memguard.__path__, "pytest_memguard.")
        if not info.name.endswith("__main__")
    ]
    builtin = [f"_pytest.{name}" for name in default_plugins]
    others = (
        "xdist.dsession",
        "xdist.remote",
        "xdist.workermanage",
        "xdist.scheduler",
        "_pytest._argcomplete",
        "execnet",
        "faulthandler",
        "memray",
        "pdb",
        "psutil",
        "tabulate",
    )
    for name in (*builtin, *others, *ours):
        importlib.import_module(name)
    with contextlib.suppress(ImportError):  # not every interpreter has it
        importlib.import_module("readline")
    for name in _PLUGINS:
        with contextlib.suppress(ImportError):
            # or pytest would say that it is too late to rewrite its assertions
            importlib.import_module(name).__doc__ = "PYTEST_DONT_REWRITE"


def _skip_search() -> None:
    """Have pytest not search its own modules for fixtures, as far as they have none.

    Nor its 2,500 names for fixtures that a decorator hides, about which no test here is. Both
    take a quarter of a small run.
    """
    if hasattr(FixtureManager, "_check_for_wrapped_fixture"):
        FixtureManager._check_for_wrapped_fixture = lambda *_: None
    kind = getattr(fixtures, "FixtureFunctionDefinition", None)
    if kind is None:  # an earlier version
        return
    bare = {
        id(module)
        for name, module in sys.modules.items()
        if name.startswith("_pytest.") and kind not in map(type, vars(module).values())
    }
    search = FixtureManager.parsefactories

    def parsefactories(self: FixtureManager, *args: Any, **options: Any) -> None:
        if id(options.get("holder")) not in bare:
            search(self, *args, **options)

    FixtureManager.parsefactories = parsefactories  # type: ignore[method-assign]


def prepare() -> None:
    """Load everything, and have samplers of processes forked as well."""
    fork_samplers()
    prepare_runs()


def prepare_runs(ours: Iterable[str] = ()) -> None:
    """Load what runs need, and what memray itself loads later.

    Args:
        ours: as for `load`.
    """
    load(ours)
    _skip_search()
    make_configs()
    remember_entry_points()
    warm_up()  # memray looks up the names of all that is loaded when it is first used
    # pytest shows the source of a failure; to find it, inspect notes the file of every module
    inspect.getmodule(prepare.__code__)


def _map_code() -> None:
    """Let the kernel map the code that a fork would map again only when it comes to it.

    Otherwise the first test to use a library would seem to use the memory of that.
    """
    with contextlib.suppress(OSError, AttributeError):  # not Linux
        advise = ctypes.CDLL(None).madvise
        lines = Path("/proc/self/maps").read_text(encoding="utf-8").splitlines()
        for line in lines:
            span, rights, _, _, inode, *_ = line.split()
            if inode != "0" and "x" in rights:
                start, end = (int(text, 16) for text in span.split("-"))
                size = ctypes.c_size_t(end - start)
                advise(ctypes.c_void_p(start), size, _MADV_POPULATE_READ)


def be_pytest(arguments: Sequence[str], folder: str, environment: dict[str, str]) -> None:
    """Be what ``python -m pytest`` would be, in this folder and with these variables."""
    _map_code()
    free_lists.freeze()  # the heap is frozen; to find that out would take as long as a test
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    for name in [name for name in sys.modules if name.partition(".")[0] == "tests"]:
        del sys.modules[name]  # the project under test may have modules of that name
    sys.path.insert(0, folder)
    sys.argv = ["pytest", *arguments]
    tempfile.tempdir = None  # it is asked for again
    sys.dont_write_bytecode = bool(environment.get("PYTHONDONTWRITEBYTECODE"))
    if "xdist.plugin" in arguments:
        # workers have the path that there was when the plugin was loaded
        sys.modules["xdist.plugin"]._sys_path[:] = sys.path
        fork_spares(_WORKERS)
    sys.exit(int(pytest.main()))


def fresh_pytest(arguments: Sequence[str], output: Path) -> pytest.RunResult:
    """Run pytest as ``python -m pytest`` would here, in a fork.

    Args:
        arguments: the arguments of pytest.
        output: the folder where what it prints is kept.
    """
    here = str(Path.cwd())
    # workers of xdist, which are new interpreters, find modules where the run does
    path = os.pathsep.join(filter(None, [here, os.environ.get("PYTHONPATH", "")]))
    environment = {**os.environ, "PYTHONPATH": path}
    started = time.monotonic()
    order = (list(arguments), here, environment)
    checks_leaks = any(text.startswith("--mem-leak-check") for text in arguments)
    module = _LEAK_CHECK if checks_leaks else __name__
    status = server(module).fork(be_pytest, order, output)
    seconds = time.monotonic() - started
    (output / "question").unlink()
    texts = [(output / name).read_text(encoding="utf-8") for name in ("stdout", "stderr")]
    for text, stream in zip(texts, (sys.stdout, sys.stderr), strict=True):
        stream.write(text)
    return pytest.RunResult(status, *(text.splitlines() for text in texts), seconds)
