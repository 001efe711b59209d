"""The test of the case that this process is about, for tools that want to call it."""

from __future__ import annotations

import importlib
import inspect
import os
from collections.abc import Callable
from typing import Any

import pytest

_MODULE = importlib.import_module(os.environ["MEMGUARD_BENCH_CASE"])
TEST: Callable[..., None] = next(
    value for name, value in vars(_MODULE).items() if name.startswith("test_")
)
"""The one test."""
FIXTURES = {
    name: value
    for name, value in vars(_MODULE).items()
    if isinstance(value, type(pytest.fixture(lambda: None)))
}
"""Its module's own, for the modules of those tools."""


def arguments(request: pytest.FixtureRequest) -> dict[str, Any]:
    """The fixtures it asks for."""
    return {name: request.getfixturevalue(name) for name in inspect.signature(TEST).parameters}
