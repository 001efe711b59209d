"""Checks patterns of node ids, and of the names of a leak."""

from __future__ import annotations

import re
from typing import Final

from pytest_memguard.errors import ConfigError, quoted

# The names of other collectors' tests may have any brackets, those of parametrised functions
# have a pair at the end.
_NOT_CLOSED: Final = r"\w\[[^]*?]*\Z"
_NOT_OPENED: Final = r"\A[^[*?]*\w\]\Z"
# A set as `fnmatch` reads one: a bracket that comes first in it does not close it.
_SET: Final = r"\[(?:!|(?!!))(?:\][^\]]*|[^\]]+)\]"


def node_pattern(value: object) -> str:
    """Check a pattern on node ids; `checks.globs` says what it covers.

    Args:
        value: what the user wrote.

    Returns:
        The pattern without blanks around it.

    Raises:
        ConfigError: if no node id can match it.
    """
    glob = value.strip() if isinstance(value, str) else ""
    if not glob:
        msg = f"{quoted(value)} is not a pattern: write a node id, a path, or one with * or ?"
        raise ConfigError(msg)
    remedy = _remedy(glob)
    if remedy:
        msg = f"{quoted(value)} is not a pattern of node ids: {remedy}"
        raise ConfigError(msg)
    return glob


def _remedy(glob: str) -> str:
    """Return what to do about a pattern that no node id can match; empty for a good one."""
    path = glob.partition("::")[0]
    if path.startswith("/") or not path.removeprefix("./").rstrip("/"):
        return "write a path relative to the root folder, as tests/unit"
    if "\\" in path:
        return "write / between folders, not \\"
    if re.search(_NOT_CLOSED, glob):
        return "close its bracket (test_x[1]), or put * behind it (test_x[1*)"
    if re.search(_NOT_OPENED, glob):
        return "open its bracket (test_x[1])"
    return ""


def name_pattern(value: object) -> str:
    """Check a pattern of the names of a leak, in the form of `fnmatch`.

    Args:
        value: what the user wrote.

    Returns:
        The pattern without blanks around it.

    Raises:
        ConfigError: if it is empty, no text, or has a bracket that is not closed.
    """
    pattern = value.strip() if isinstance(value, str) else ""
    if not pattern:
        msg = f"{quoted(value)} is not a pattern: write one as 'feed.*' or '*/feed.py'"
        raise ConfigError(msg)
    if "[" in re.sub(_SET, "", pattern):
        msg = f"{quoted(value)} is not a pattern: close its bracket, or write [[] for a bracket"
        raise ConfigError(msg)
    return pattern
