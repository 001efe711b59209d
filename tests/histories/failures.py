"""Exceptions with memory in their frames.

pytest parses the whole file of each frame of a failure, so this is a small one.
"""

from __future__ import annotations

from typing import Any

from tests.histories.payloads import held

KEPT: dict[str, list[Any]] = {}
"""What the module holds, by slot."""


class IntendedError(AssertionError):
    """A test of a history fails where it is to fail."""


def fail(kind: str, size: int, holder: str) -> None:
    """Fail while a local variable holds memory."""
    rows = held(kind, size, holder)
    raise IntendedError(type(rows).__name__)


def _raise_chained(kind: str, size: int, holder: str) -> None:
    rows = held(kind, size, "plain")
    try:
        raise KeyError(type(rows).__name__)
    except KeyError as error:
        cause = error if holder != "plain" else None  # the frame's own exception: a cycle
        raise ValueError(cause is None) from error


def chain(kind: str, size: int, holder: str, slot: str) -> None:
    """Raise from another exception, catch, and drop or keep it with the frames' memory.

    Args:
        kind: of the memory in a frame.
        size: MiB.
        holder: "plain" for frames that end with the exception.
        slot: what keeps the exception; empty for nothing.
    """
    try:
        _raise_chained(kind, size, holder)
    except ValueError as error:
        if slot:
            KEPT.setdefault(slot, []).append(error)
