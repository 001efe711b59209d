"""What is said of a stored file whose format is another than the one this version reads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Json = dict[str, Any]
"""An object of a JSON file."""


def is_newer(data: object, known: int) -> bool:
    """Whether what a JSON file holds is of a format to come, whatever else is in it.

    Args:
        data: the whole content.
        known: number of the format that this version reads.
    """
    return isinstance(data, Mapping) and _exceeds(data.get("format"), known)


def other_format(number: object, known: int) -> str:
    """The end of the sentence about such a file: what it has, and what can be read.

    Args:
        number: what stands where the number of the format should be.
        known: number of the format that this version reads.
    """
    text = f"format {number!r:.40}, this version reads format {known}"
    return f"{text}; a newer pytest-memguard wrote it" if _exceeds(number, known) else text


def _exceeds(number: object, known: int) -> bool:
    return type(number) is int and number > known  # True is no number here
