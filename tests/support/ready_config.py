"""Has pytest take a configuration that was made before the fork, with its plugins in it."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from importlib import metadata
from itertools import pairwise
from pathlib import Path
from typing import Any

import pluggy
import pytest
from _pytest import config

_WITHOUT = "no:cacheprovider"
_PROGRAMS = ("pytest.main()", None)
"""What `get_config` is given in a run, and in a worker of pytest-xdist."""


def make_configs() -> None:
    """Make what the first run in each fork uses, unless it wants other plugins of pytest's.

    To register these takes a fifth of a small run.
    """
    pluggy.__version__ = pluggy.__version__  # which is looked up in files each time
    make = config.get_config
    made = {program: _made(make, program) for program in _PROGRAMS}

    def get_config(
        args: Sequence[str] = (), plugins: Sequence[object] | None = None, **options: Any
    ) -> pytest.Config:
        found = None
        if _excluded(args) == {_WITHOUT} and "PYTEST_DEBUG" not in os.environ:
            found = made.pop(options.get("prog"), None)
        if found is None:
            return make(args, plugins, **options)  # type: ignore[arg-type]
        found.invocation_params = pytest.Config.InvocationParams(
            args=args, plugins=plugins, dir=Path.cwd()
        )
        return found

    config.get_config = get_config  # type: ignore[assignment]


def _made(make: Callable[..., pytest.Config], program: str | None) -> pytest.Config | None:
    """A configuration; ``None`` where pytest is of a version that takes no such argument."""
    try:
        return make(["-p", _WITHOUT], prog=program)
    except TypeError:
        return None


def _excluded(args: Sequence[str]) -> set[str]:
    """What a command line has as ``-p no:...``."""
    words = list(map(str, args))
    names = [name for flag, name in pairwise(words) if flag == "-p"]
    names += [word[2:] for word in words if word.startswith("-p")]
    return {name.strip() for name in names if name.strip().startswith("no:")}


class _Installed:
    """What is installed, with its entry points at hand.

    Args:
        distribution: the same as Python finds it.
    """

    def __init__(self, distribution: metadata.Distribution) -> None:
        """Read them."""
        self._distribution = distribution
        self.entry_points = distribution.entry_points

    def __getattr__(self, name: str) -> Any:
        """Look up all else."""
        return getattr(self._distribution, name)


def remember_entry_points() -> None:
    """Have the entry points of what is installed not read again in each fork."""
    find = metadata.distributions
    folders = list(sys.path)
    installed = list(map(_Installed, find(path=folders)))

    def distributions(**context: Any) -> list[Any]:
        if context:
            return list(find(**context))
        others = [folder for folder in sys.path if folder not in folders]
        return [*find(path=others), *installed]

    metadata.distributions = distributions  # type: ignore[assignment]
