"""Whole outputs, as they should read, from the files in tests/gold."""

from __future__ import annotations

from pathlib import Path

_FOLDER = Path(__file__).parents[1] / "gold"


def gold(name: str) -> str:
    """The text of a gold file, without the line break at its end."""
    return (_FOLDER / f"{name}.txt").read_text(encoding="utf-8").removesuffix("\n")
