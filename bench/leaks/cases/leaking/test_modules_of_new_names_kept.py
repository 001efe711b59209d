"""Imports a module of a new name on every call and lets it stay."""

import importlib
import sys
from itertools import count
from pathlib import Path

import pytest

_NUMBERS = count(1_000)


def test_import(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The module has what was written."""
    name = f"leaks_shop_{next(_NUMBERS)}"
    (tmp_path / f"{name}.py").write_text("PRICE = 7\n")
    monkeypatch.syspath_prepend(tmp_path)
    module = importlib.import_module(name)  # LEAK
    assert module is sys.modules[name]
