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

_CALLS: tuple[tuple[dict[str, Any], set[str]], ...] = (
    ({"prog": "pytest.main()"}, {"no:cacheprovider"}),
    ({}, set()),
)
"""How `get_config` is called, and without what: for a run, and for a worker of pytest-xdist."""


def make_configs() -> None:
    """Make what the first run in each fork uses, unless it wants other plugins of pytest's.

    To register these takes a fifth of a small run.
    """
    pluggy.__version__ = pluggy.__version__  # which is looked up in files each time
    make = config.get_config
    made = [(call, without, _made(make, call, without)) for call, without in _CALLS]

    def get_config(
        args: Sequence[str] = (), plugins: Sequence[object] | None = None, **call: Any
    ) -> pytest.Config:
        for each in made:
            its_call, without, found = each
            if found is None or call != its_call or "PYTEST_DEBUG" in os.environ:
                continue
            if _excluded(args) == without:
                made.remove(each)
                found.invocation_params = pytest.Config.InvocationParams(
                    args=args, plugins=plugins, dir=Path.cwd()
                )
                return found
        return make(args, plugins, **call)  # type: ignore[arg-type]

    config.get_config = get_config  # type: ignore[assignment]


def _made(
    make: Callable[..., pytest.Config], call: dict[str, Any], without: set[str]
) -> pytest.Config | None:
    """A configuration; ``None`` where this version of pytest is not called in that way."""
    try:
        return make([word for name in without for word in ("-p", name)], **call)
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
