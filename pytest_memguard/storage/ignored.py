"""Keeps files that are not to be committed out of Git: a .gitignore in .memguard."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Final

_FOLDER: Final = ".memguard"
_TEXT: Final = """\
# Made by pytest-memguard: the baseline and accepted leaks are for Git, the history is not.
*.sqlite3
*.sqlite3-*
"""


def make_folder(path: Path) -> None:
    """Make the folder of a history; .memguard gets a .gitignore, unless it has one.

    Args:
        path: the file of the history.

    Raises:
        OSError: if the folder cannot be made.
    """
    folder = path.parent
    folder.mkdir(parents=True, exist_ok=True)
    if folder.name == _FOLDER:
        with contextlib.suppress(OSError), (folder / ".gitignore").open("x") as file:
            file.write(_TEXT)
