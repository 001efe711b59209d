"""pytest's own way to run a test, or a phase of one, for which there is no public name."""

from __future__ import annotations

import os
import tempfile
from typing import Any, Final

import pytest
from _pytest.runner import call_and_report, runtestprotocol

__all__ = ["call_and_report", "detach", "runtestprotocol"]
_DEBUGGERS: Final = ("pdbinvoke", "pdbtrace")
"""The names under which pytest registers what ``--pdb`` and ``--trace`` ask for."""


def detach(config: pytest.Config) -> None:
    """In a forked child: open no debugger, and capture output apart from the parent.

    A debugger would have no terminal. The files into which pytest captures are open here, too,
    at the same position, and pytest empties them whenever it has read them.

    Args:
        config: the configuration of pytest.
    """
    manager = config.pluginmanager
    for name in _DEBUGGERS:
        if manager.hasplugin(name):
            manager.unregister(name=name)
    capturing: Any = getattr(manager.get_plugin("capturemanager"), "_global_capturing", None)
    for name in ("out", "err"):
        file = getattr(getattr(capturing, name, None), "tmpfile", None)
        try:
            descriptor = file.fileno()  # type: ignore[union-attr]
        except (AttributeError, OSError, ValueError):
            continue  # output is not captured, or in memory
        with tempfile.TemporaryFile() as own:
            os.dup2(own.fileno(), descriptor)
