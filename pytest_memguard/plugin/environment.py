"""Where a run takes place, for those who compare it with others."""

from __future__ import annotations

import os
import platform
import sys
import sysconfig
from importlib import metadata

import pytest

from pytest_memguard.model.results import Environment


def environment() -> Environment:
    """Where this run takes place."""
    return Environment(
        python=platform.python_version(),
        implementation=platform.python_implementation(),
        platform=f"{platform.system()} {platform.machine()}",
        pytest=pytest.__version__,
        memguard=_version(),
        allocator=_allocator(),
    )


def _version() -> str:
    try:
        return metadata.version("pytest-memguard")
    except metadata.PackageNotFoundError:  # run from a checkout that is not installed
        return "unknown"


def _allocator() -> str:
    chosen = os.environ.get("PYTHONMALLOC", "")
    if chosen:
        return chosen
    if sysconfig.get_config_var("Py_GIL_DISABLED"):
        return "mimalloc"
    return "pymalloc" if sys.implementation.name == "cpython" else sys.implementation.name
