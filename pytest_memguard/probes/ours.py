"""Counts the memory that instruments of ours have mapped themselves, past all allocators."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING

from pytest_memguard.errors import Unmeasurable

if TYPE_CHECKING:
    from collections.abc import Callable


class Ours:
    """The one account of this process.

    Attributes:
        size: bytes that instruments hold for good.
    """

    size = 0

    @classmethod
    @contextlib.contextmanager
    def counted(cls) -> Iterator[None]:
        """Count what is mapped meanwhile as that of an instrument.

        memray maps some 27 MiB when it looks up names of C functions for the first time.
        """
        unexplained = _unexplained_reader()
        before = unexplained()
        try:
            yield
        finally:
            cls.size += max(0, unexplained() - before)


@cache
def _unexplained_reader() -> Callable[[], int]:
    """Return a function that returns anonymous bytes of no known allocator; 0 if not known."""
    from pytest_memguard.probes.anonymous import anonymous_reader
    from pytest_memguard.probes.slack import SlackProbe

    try:
        probe, anonymous = SlackProbe(), anonymous_reader()
    except (Unmeasurable, OSError, ValueError):
        return int

    def unexplained() -> int:
        slack = probe.read()
        return 0 if slack.hooked else anonymous() - slack.explained

    return unexplained
