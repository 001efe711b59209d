"""Paths as the service that shows them knows them: from the top of the repository."""

from __future__ import annotations

import posixpath


def in_repository(file: str, prefix: str) -> str:
    """A source file's path from the top of the repository.

    Args:
        file: relative to pytest's root, with slashes; absolute paths stay.
        prefix: from the repository's top to pytest's root; empty if they are the same.
    """
    return posixpath.normpath(posixpath.join(prefix, file)) if file else file
