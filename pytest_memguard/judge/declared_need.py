"""Judges whether a test needs the memory that it declares."""

from __future__ import annotations

from typing import Final

from pytest_memguard.sizes import MIB, format_size

OFF_BY: Final = 0.5
"""Share of the declared size by which it may differ from what the test used."""
NEGLIGIBLE: Final = 16 * MIB
"""Bytes by which it may differ in any case."""


def is_too_small(declared: int, used: int) -> bool:
    """Return whether a test used far more than it declares.

    Args:
        declared: bytes.
        used: bytes that it used at least.
    """
    return used - declared > max(declared * OFF_BY, NEGLIGIBLE)


def is_too_large(declared: int, used: int) -> bool:
    """Return whether a test used far less than it declares.

    Args:
        declared: bytes.
        used: bytes that it used at most.
    """
    return declared - used > max(declared * OFF_BY, NEGLIGIBLE)


def sentence(declared: int, used: int, *, at_most: bool) -> str:
    """Return the sentence of the failure.

    Args:
        declared: bytes.
        used: bytes that the test used.
        at_most: whether it may have used less.
    """
    bound = " at most" if at_most else ""
    return (
        f"mem_needs declares {format_size(declared)}, and the test used "
        f"{format_size(used)}{bound}"
    )
