"""Checks the number of a stored file's format, and the sentence about another one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Json = dict[str, Any]
"""An object of a JSON file."""


def is_newer(data: object, known: int) -> bool:
    """Return whether the content of a JSON file has a newer format.

    Args:
        data: the whole content.
        known: the number of the format that this version reads.
    """
    return isinstance(data, Mapping) and _exceeds(data.get("format"), known)


def other_format(number: object, known: int) -> str:
    """Return the end of the sentence about another format than this version reads.

    Args:
        number: what is in place of the number of the format.
        known: the number of the format that this version reads.
    """
    text = f"format {number!r:.40}, this version reads format {known}"
    return f"{text}; a newer pytest-memguard wrote it" if _exceeds(number, known) else text


def _exceeds(number: object, known: int) -> bool:
    return type(number) is int and number > known  # True is no number here


def present_state(state: str) -> Any:
    """Return a state as it is called now; undecided was called unclear up to format 2."""
    return "undecided" if state == "unclear" else state
