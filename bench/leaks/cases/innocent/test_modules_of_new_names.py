"""Imports a module of a new name on every call and takes it out again."""

import importlib
import sys
from itertools import count
from pathlib import Path

_NUMBERS = count(1_000)


def test_import(tmp_path: Path) -> None:
    """The module has what was written."""
    name = f"leaks_shop_{next(_NUMBERS)}"
    (tmp_path / f"{name}.py").write_text("PRICE = 7\n")
    sys.path.insert(0, str(tmp_path))
    importlib.invalidate_caches()
    try:
        assert importlib.import_module(name).PRICE == 7
    finally:
        sys.path.remove(str(tmp_path))
        sys.modules.pop(name, None)
