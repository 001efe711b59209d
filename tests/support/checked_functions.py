"""Leak checks of functions in a process without pytest, whose heap is small.

Such a check takes half the CPU time of one in a run of pytest: a search for a cause walks
the whole heap several times, and each call under trackers costs what it allocates, of which
the hooks around a test are the most.
"""

from __future__ import annotations

import importlib
import json
import os
import pkgutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent
from types import FunctionType
from typing import Any

from pytest_memguard import attribution
from pytest_memguard.codecs.leak_codecs import LEAK_CODEC
from pytest_memguard.probes.memray_module import chosen_allocators
from pytest_memguard.probes.surviving_blocks import warm_up
from pytest_memguard.recording import slow_to_end
from pytest_memguard.recording.check import LeakCheck, call_of
from pytest_memguard.recording.limits import Limits
from tests.support.fresh_process import AVAILABLE, fresh
from tests.support.small_heap import hide_code

_LATER = (
    "probes.block_tracker",
    "probes.c_heap",
    "probes.python_blocks",
    "recording.causes",
    "recording.diagnosis",
    "recording.further_search",
    "recording.c_memory_parts",
    "recording.joined_causes",
    "recording.made_contents",
    "recording.part",
    "recording.parts",
    "recording.unexplained",
    "recording.populations",
)
"""Modules that a check imports when it comes to them, beside those of ``attribution``."""
_MODULE = "test_it"
_ROOT = Path(__file__).parents[2]


def prepare() -> None:
    """Load what a search for a cause would load, and what memray does.

    It loads nothing else: a search takes as long as the heap is large.
    """
    found = pkgutil.iter_modules(attribution.__path__)
    for name in (*(f"attribution.{info.name}" for info in found), *_LATER):
        importlib.import_module(f"pytest_memguard.{name}")
    importlib.import_module("psutil")
    warm_up()
    chosen_allocators()  # reads the libraries of memray, once
    hide_code()


def _checked(folder: str, where: str, calls: int, seconds: float, wait: float) -> str:
    """Check all functions of the module that are named like tests; return the JSON.

    Args:
        folder: where the module is.
        where: where to look for the cause of a leak.
        calls: the most calls of each function.
        seconds: the most seconds for each.
        wait: the most seconds to wait for threads and the like to end by themselves.
    """
    slow_to_end._LONGEST = wait
    # bytecode of another source of the same length, written in the same second, would be used
    sys.dont_write_bytecode = True
    os.chdir(folder)
    sys.path.insert(0, folder)
    module = importlib.import_module(_MODULE)
    tests = {
        name: value
        for name, value in vars(module).items()
        if name.startswith("test_") and isinstance(value, FunctionType)
    }
    check, limits = LeakCheck(where), Limits(calls=calls, seconds=seconds)
    found = {name: {"leak": _leak(check, test, limits)} for name, test in tests.items()}
    return json.dumps(found)


def _leak(check: LeakCheck, test: Callable[[], object], limits: Limits) -> dict[str, Any]:
    heap = check.heap()
    test()
    kept = check.kept_since(heap, collect=True)
    return LEAK_CODEC.write(check.run(call_of(test), limits, kept=kept))


def checked(
    folder: Path,
    source: str,
    *,
    where: str = "here",
    calls: int = 120,
    seconds: float = 20.0,
    wait: float = 1.0,
) -> dict[str, Any]:
    """Return the leaks of each function of a source, in the form of ``--mem-json``.

    Args:
        folder: gets the source as test_it.py; its modules can be imported.
        source: a module with functions that are named like tests and have no arguments.
        where: where to look for the cause of a leak: here or none.
        calls: the most calls of each function.
        seconds: the most seconds for each.
        wait: the most seconds to wait for threads and the like to end by themselves.
    """
    (folder / f"{_MODULE}.py").write_text(dedent(source), encoding="utf-8")
    arguments = (str(folder), where, calls, seconds, wait)
    text = fresh(_checked, *arguments) if AVAILABLE else _in_new_interpreter(*arguments)
    found: dict[str, Any] = json.loads(text)
    return found


def _in_new_interpreter(*arguments: object) -> str:
    code = f"from {__name__} import _checked; print(_checked(*{arguments!r}))"
    return subprocess.check_output([sys.executable, "-c", code], cwd=_ROOT, text=True)
