"""Tests of whose a shared object is: the module that makes it, not one that has imported it."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import pytest

from pytest_memguard.attribution.owners import Ownership, ownership


def _ownership(tmp_path: Path, source: str) -> Ownership:
    file = tmp_path / "mod.py"
    file.write_text(source)
    module = ModuleType("mod")
    module.__file__ = str(file)
    return ownership(module, "CACHE")


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("CACHE = {}", Ownership.MAKES),
        ("CACHE: dict = Cache()", Ownership.MAKES),
        ("OTHER = CACHE = []", Ownership.MAKES),
        ("OTHER, CACHE = made()", Ownership.MAKES),
        ("try:\n  import x\nexcept ImportError:\n  CACHE = {}", Ownership.MAKES),
        ("if True:\n  with x:\n    CACHE = []", Ownership.MAKES),
        ("match 1:\n  case 1:\n    CACHE = []", Ownership.MAKES),
        ("for CACHE in made(): pass", Ownership.MAKES),
        ("with made() as CACHE: pass", Ownership.MAKES),
        ("def CACHE(): pass", Ownership.MAKES),
        ("class CACHE: pass", Ownership.MAKES),
        ("def fill():\n  global CACHE\n  CACHE = {}", Ownership.MAKES),
        ("CACHE = None\ndef fill():\n  global CACHE\n  CACHE = app.CACHE", Ownership.MAKES),
        ("CACHE = app.CACHE", Ownership.RENAMES),
        ("CACHE = OTHER", Ownership.RENAMES),
        ("from app import CACHE", Ownership.IMPORTS),
        ("from app import *", Ownership.IMPORTS),
        ("from app import CACHE\ndef f():\n  CACHE = {}", Ownership.IMPORTS),
        ("from app import CACHE\nclass A:\n  CACHE = {}", Ownership.IMPORTS),
        ("CACHE: dict", Ownership.IMPORTS),
        ("from app import CACHE\nCACHE['x'] = 1\nCACHE.x = 2", Ownership.IMPORTS),
        ("CACHE = (", Ownership.UNKNOWN),
    ],
)
def test_what_the_source_says(tmp_path: Path, source, expected) -> None:
    """An assignment of something that is made there counts most, an import least."""
    assert _ownership(tmp_path, source) is expected


@pytest.mark.parametrize("file", ["", "/no/such/file.py", "mod.so", None])
def test_without_source(file) -> None:
    """Without source the owner is not known."""
    module = ModuleType("mod")
    module.__file__ = file
    assert ownership(module, "CACHE") is Ownership.UNKNOWN
