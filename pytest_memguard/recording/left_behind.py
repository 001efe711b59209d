"""Limits what a check may use up by what earlier leaking tests have left in this process."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final

from pytest_memguard.model.leaks import Signal
from pytest_memguard.recording.limits import Limits

_SELECTABLE: Final = 1024
"""Number of descriptors that ``select`` supports, and that many systems allow."""
_SHARE: Final = 0.8
"""Share of the descriptors that may be open after a check."""
_TIMES: Final = 4
_TIMES_THREADS: Final = 20
"""How many times what one check may use up all checks may use up together: memory, threads."""
_AFTERWARDS: Final = 1 / 8
"""Share of its own limit that a check may use up after that."""
_FOR_A_VERDICT: Final = 12
"""Number of calls, each of which leaves a thread, that a verdict takes."""


class LeftBehind:
    """Adds up what checks have left behind, and limits the next check.

    Each check of a leaking test leaves what its calls have leaked. It cannot know what hundreds
    of open files or threads mean to a suite: `select` fails for descriptors from 1024 on.
    """

    def __init__(self) -> None:
        self._left: Counter[Signal] = Counter()
        self._most_open = 0

    def limited(self, limits: Limits, count_open: Callable[[], int] | None) -> Limits:
        """Return the limits of the next check.

        Args:
            limits: the limits of a check by itself.
            count_open: counts open descriptors; ``None`` if that is not possible.
        """
        files = limits.files
        if count_open is not None:
            is_open = count_open()
            if not self._most_open:
                self._most_open = _most_open(is_open)
            files = min(files, max(1, self._most_open - is_open))
        memory = max(self._left["C heap"], self._left["USS"])
        return replace(
            limits,
            files=files,
            memory=_what_is_left(limits.memory, _TIMES, memory),
            threads=max(
                min(limits.threads, _FOR_A_VERDICT),
                _what_is_left(limits.threads, _TIMES_THREADS, self.threads),
            ),
        )

    @property
    def threads(self) -> int:
        """Threads that checks have left."""
        return max(self._left["Python threads"], self._left["native threads"])

    def add(self, growth: Mapping[Signal, int]) -> None:
        """Add what a check has left behind.

        Args:
            growth: by how much each signal grew.
        """
        self._left.update({signal: max(0, grown) for signal, grown in growth.items()})


def _what_is_left(limit: int, times: int, left: int) -> int:
    """Return what a check may use up of memory or threads.

    Args:
        limit: the limit of a check by itself.
        times: how many times that limit all checks may use up together.
        left: what earlier checks have left behind.
    """
    return max(int(limit * _AFTERWARDS), min(limit, times * limit - left))


def _most_open(is_open: int) -> int:
    """Return how many descriptors may be open after a check.

    Args:
        is_open: how many are open before the first check; a suite with many uses no `select`.
    """
    try:
        import resource
    except ImportError:
        return int(_SHARE * _SELECTABLE)
    allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if allowed == resource.RLIM_INFINITY:
        allowed = max(_SELECTABLE, 2 * is_open)
    most = _SHARE * min(allowed, _SELECTABLE)
    return int(most if is_open < most / 2 else _SHARE * allowed)
