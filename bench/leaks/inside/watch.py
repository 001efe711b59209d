"""A pytest plugin that writes down how long the one test took, and how it ended."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

_SEEN: dict[str, Any] = {"seconds": 0.0, "outcome": "", "text": "", "sections": []}


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol() -> Iterator[None]:
    """Time everything that is done for a test, checks and repetitions included."""
    start = time.perf_counter()
    result = yield
    _SEEN["seconds"] = time.perf_counter() - start
    return result


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Keep the call's outcome, or that of the phase that went wrong."""
    if report.when == "call" or report.outcome != "passed":
        _SEEN["outcome"] = report.outcome
        _SEEN["text"] = report.longreprtext
        _SEEN["sections"] = report.sections


def pytest_unconfigure() -> None:
    """Write it down."""
    Path(os.environ["MEMGUARD_BENCH_NOTES"], "watched.json").write_text(json.dumps(_SEEN))
