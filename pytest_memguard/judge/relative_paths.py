"""Makes paths of source files the same on every machine, where that is possible."""

from __future__ import annotations

import re
from pathlib import PurePath
from typing import Final

_INSTALLED: Final = re.compile(r"(?:site|dist)-packages|(?:python|pypy)\d\.\d+t?")
"""Folders that distributions and the standard library are installed in."""


def relative_path(file: str, root: str) -> str:
    """Return a path that is the same on other machines, if possible.

    Args:
        file: an absolute path, or one relative to the root.
        root: folder that the path is made relative to. Paths of installed distributions and of
            the standard library become relative to the folder that they are installed in.
    """
    path = PurePath(file)
    if not path.is_absolute():
        return file
    inside = bool(root) and path.is_relative_to(root)
    if inside:
        path = path.relative_to(root)
    installed = [i for i, part in enumerate(path.parts[:-1]) if _INSTALLED.fullmatch(part)]
    if installed:
        return PurePath(*path.parts[installed[-1] + 1 :]).as_posix()
    return path.as_posix() if inside else file
