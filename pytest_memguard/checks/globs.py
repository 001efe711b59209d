"""Patterns on node ids and paths, as the lines of mem_budgets write them."""

from __future__ import annotations

import re
from collections.abc import Callable


def matcher(glob: str) -> Callable[[str], bool]:
    """A function that returns whether a pattern covers a node id.

    It covers what it matches whole and everything below: a pattern for a folder covers its
    files, one for a file or class its tests, one for a test its parameters. ``*`` and
    ``?`` stay within one folder, ``**`` crosses folders; brackets mean themselves, because
    node ids are full of them.

    Args:
        glob: the pattern; a leading ``./`` and a trailing ``/`` do not count.
    """
    text = glob.removeprefix("./").rstrip("/")
    pattern = ""
    at = 0
    while at < len(text):
        if text.startswith("**/", at):
            pattern += "(?:.*/)?"
            at += 3
        elif text.startswith("**", at):
            pattern += ".*"
            at += 2
        else:
            pattern += {"*": "[^/]*", "?": "[^/]"}.get(text[at], re.escape(text[at]))
            at += 1
    match = re.compile(rf"{pattern}(?:$|/|::|\[)", re.DOTALL).match
    return lambda nodeid: match(nodeid) is not None
