"""A season of readings on disk, written once for all tests."""

from __future__ import annotations

from pathlib import Path

import pytest
from made_up import write_readings


@pytest.fixture(scope="session")
def season(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CSV file of one and a half megabytes."""
    path = tmp_path_factory.mktemp("readings") / "season.csv"
    write_readings(path)
    return path
