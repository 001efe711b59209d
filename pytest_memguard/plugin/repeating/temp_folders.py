"""The temporary folder of a test that is run again: the same name every time."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest


def use_again(config: pytest.Config, name: str) -> None:
    """Let the next call's temporary folder have the same name.

    What is kept by name, such as values of the environment, which the C library never frees,
    would be another one in every call.
    """
    numbers = getattr(getattr(config, "_tmp_path_factory", None), "_next_number", {})
    for prefix, number in _numbered(name):
        if numbers.get(prefix.lower()) == number + 1:
            numbers[prefix.lower()] = number


def _numbered(name: str) -> Iterator[tuple[str, int]]:
    """The ways to split a name into a prefix and the number at its end."""
    for digits in range(1, len(name) - len(name.rstrip("0123456789")) + 1):
        yield name[:-digits], int(name[-digits:])


def point_back(fixtures: dict[str, Any] | None) -> None:
    """Let pytest's link to the latest folder of a test lead to that of its one run again."""
    folder = (fixtures or {}).get("tmp_path")
    if not isinstance(folder, Path) or not folder.is_dir():
        return
    for prefix, _ in _numbered(folder.name):
        link = folder.parent / f"{prefix}current"
        if link.is_symlink() and not link.exists():
            with contextlib.suppress(OSError):
                link.unlink()
                link.symlink_to(folder, target_is_directory=True)
