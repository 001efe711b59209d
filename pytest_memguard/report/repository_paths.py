"""Paths relative to the root of the repository, as CI services name them."""

from __future__ import annotations

import posixpath


def in_repository(file: str, prefix: str) -> str:
    """Return a source file's path from the root of the repository.

    Args:
        file: path relative to pytest's root, with slashes; absolute paths stay.
        prefix: path from the root of the repository to pytest's root; empty if they are the
            same.
    """
    return posixpath.normpath(posixpath.join(prefix, file)) if file else file
