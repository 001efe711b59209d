"""What leaks that were checked have left in this process, so that later tests have enough."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final

from pytest_memguard.leaks import Signal
from pytest_memguard.recording.repeat import Limits

_SELECTABLE: Final = 1024
"""Descriptors up to which ``select`` works, and how many many systems allow."""
_SHARE: Final = 0.8
"""Share of the descriptors that may be open after a check."""
_TIMES: Final = 4
_TIMES_THREADS: Final = 20
"""How many times what one check may use up all of them may: of memory, and of threads."""
_AFTERWARDS: Final = 1 / 8
"""Share of it that a check may use up after that."""


class LeftBehind:
    """Sums up what checks have left, and limits what the next one may use up.

    Each check of a leaking test leaves as much as its calls have leaked. What several hundred
    open files or threads are to a suite, it cannot know: `select` fails for descriptors from
    1024 on.
    """

    def __init__(self) -> None:
        self._left: Counter[Signal] = Counter()
        self._most_open = 0

    def limited(self, limits: Limits, count_open: Callable[[], int] | None) -> Limits:
        """The limits of the next check.

        Args:
            limits: of a check by itself.
            count_open: counts open descriptors, where that can be done.
        """
        files = limits.files
        if count_open is not None:
            is_open = count_open()
            if not self._most_open:
                self._most_open = _most_open(is_open)
            files = min(files, max(1, self._most_open - is_open))
        memory = max(self._left["C heap"], self._left["USS"])
        threads = max(self._left["Python threads"], self._left["native threads"])
        return replace(
            limits,
            files=files,
            memory=_what_is_left(limits.memory, _TIMES, memory),
            threads=_what_is_left(limits.threads, _TIMES_THREADS, threads),
        )

    def add(self, growth: Mapping[Signal, int]) -> None:
        """Add what a check has left.

        Args:
            growth: of each signal.
        """
        self._left.update({signal: max(0, grown) for signal, grown in growth.items()})


def _what_is_left(limit: int, times: int, left: int) -> int:
    """What a check may use up of memory or threads.

    Args:
        limit: of a check by itself.
        times: how many times that all checks may use up.
        left: by checks before it.
    """
    return max(int(limit * _AFTERWARDS), min(limit, times * limit - left))


def _most_open(is_open: int) -> int:
    """Descriptors that may be open after a check.

    Args:
        is_open: how many are before the first one; a suite that needs many uses no `select`.
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
