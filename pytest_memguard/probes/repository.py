"""Finds the root of the repository that the tests are in."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

_ROOTS: Final = ("GITHUB_WORKSPACE", "CI_PROJECT_DIR")
"""Variables in which CI services name the folder of the checkout."""


def prefix_of(root: Path) -> str:
    """Return the path from the root of the repository to a folder, with slashes; usually empty.

    Args:
        root: the folder that paths of tests are relative to.
    """
    resolved = root.resolve()
    named = [Path(os.environ[name]).resolve() for name in _ROOTS if os.environ.get(name)]
    found = [folder for folder in (resolved, *resolved.parents) if (folder / ".git").exists()]
    for top in (*named, *found):
        if resolved.is_relative_to(top):
            prefix = resolved.relative_to(top).as_posix()
            return "" if prefix == "." else prefix
    return ""
