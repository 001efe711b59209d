"""Counts calls into pytest-memguard while tests run."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from types import FrameType

import pytest

CALLS = {"calls": 0}
_FOLDER = f"{os.sep}pytest_memguard{os.sep}"


def count(frame: FrameType, event: str, _: object) -> None:
    """Count a call if the function belongs to the package."""
    if event == "call" and _FOLDER in frame.f_code.co_filename:
        CALLS["calls"] += 1


@pytest.hookimpl(trylast=True)
def pytest_collection_finish() -> None:
    """Start when all tests are known."""
    sys.setprofile(count)


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish() -> None:
    """Stop when the last test has run."""
    sys.setprofile(None)
    Path(os.environ["MEMGUARD_BENCH_NOTES"]).write_text(json.dumps(CALLS))
