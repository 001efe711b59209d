"""Puts a new folder first on the import path; ``monkeypatch`` takes it out."""

import sys
from pathlib import Path

import pytest


def test_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder is first."""
    monkeypatch.syspath_prepend(tmp_path)
    assert sys.path[0] == str(tmp_path)
