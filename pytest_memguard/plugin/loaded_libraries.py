"""Knows which libraries the tests of a run have loaded, in whichever process."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any, Final

import pytest

KEY: Final = "memguard_loaded"
"""What a worker sends its names under."""
_OURS: Final = frozenset({"memray", "psutil", "pytest_memguard"})


def libraries_of(modules: Iterable[str]) -> set[str]:
    """Return the libraries of modules, but for those of Python, of tests, and our own.

    Args:
        modules: their whole names.
    """
    names = {name.partition(".")[0] for name in modules}
    names -= sys.stdlib_module_names | _OURS
    return {name for name in names if name.isidentifier() and not _is_of_tests(name)}


def _is_of_tests(name: str) -> bool:
    return name.startswith(("_", "test_")) or name.endswith("_test") or name == "conftest"


class LoadedLibraries:
    """Gathers the names for the process that stores them."""

    def __init__(self) -> None:
        self._of_others: set[str] = set()

    def add(self, names: Iterable[str]) -> None:
        """Add those that another process has loaded."""
        self._of_others.update(names)

    def names(self) -> frozenset[str]:
        """Return the libraries that any process of the run has loaded by now."""
        return frozenset(self._of_others | libraries_of(sys.modules))

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Report to the controller."""
        output = getattr(session.config, "workeroutput", None)
        if output is not None:
            output[KEY] = sorted(self.names())

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """Take what a worker reports at its end."""
        self.add(getattr(node, "workeroutput", {}).get(KEY, ()))
