"""Has pytest take a configuration that was made before the fork, with its plugins in it."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pluggy
import pytest
from _pytest import config

_USUAL = ("-p", "no:cacheprovider")
_CALLS: tuple[dict[str, Any], ...] = ({"prog": "pytest.main()"}, {})
"""How `get_config` is called: for a run, and for a worker of pytest-xdist."""


def make_configs() -> None:
    """Make what the first run in each fork uses, unless it wants other plugins of pytest's.

    To register these takes a fifth of a small run.
    """
    pluggy.__version__ = pluggy.__version__  # which is looked up in files each time
    make = config.get_config
    made = [(call, _made(make, call)) for call in _CALLS]

    def get_config(
        args: Sequence[str] = (), plugins: Sequence[object] | None = None, **call: Any
    ) -> pytest.Config:
        if _excluded(args) != {_USUAL[1]} or "PYTEST_DEBUG" in os.environ:
            return make(args, plugins, **call)  # type: ignore[arg-type]
        for each in made:
            if each[0] == call and each[1] is not None:
                made.remove(each)
                each[1].invocation_params = pytest.Config.InvocationParams(
                    args=args, plugins=plugins, dir=Path.cwd()
                )
                return each[1]
        return make(args, plugins, **call)  # type: ignore[arg-type]

    config.get_config = get_config  # type: ignore[assignment]


def _made(make: Callable[..., pytest.Config], call: dict[str, Any]) -> pytest.Config | None:
    """A configuration; ``None`` where this version of pytest is not called in that way."""
    try:
        return make(_USUAL, **call)
    except TypeError:
        return None


def _excluded(args: Sequence[str]) -> set[str]:
    """What a command line has as ``-p no:...``."""
    words = list(map(str, args))
    names = [name for flag, name in pairwise(words) if flag == "-p"]
    names += [word[2:] for word in words if word.startswith("-p")]
    return {name.strip() for name in names if name.strip().startswith("no:")}
