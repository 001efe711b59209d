"""Causes of growth that are no leak: caches that fill, and what the test runner keeps."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from pytest_memguard.model.leaks import MEMORY_SIGNALS, Kept, Signal, Verdict
from pytest_memguard.recording.adjusted import AdjustedSignals, Share
from pytest_memguard.recording.settled_signals import SettledSignals

if TYPE_CHECKING:
    from pytest_memguard.recording.causes import Cause

SMALL_PART: Final = 0.5
"""Growth below this share of what is left out may be an error in measuring what is left out."""


class ExcludedCauses:
    """The causes whose growth is subtracted from all readings.

    Args:
        calls: returns the number of calls made so far.
    """

    def __init__(self, calls: Callable[[], int]) -> None:
        self._causes: list[Cause] = []
        self._calls = calls

    def __bool__(self) -> bool:
        """Return whether there are any."""
        return bool(self._causes)

    @property
    def causes(self) -> tuple[Cause, ...]:
        """All of them."""
        return tuple(self._causes)

    def new(self, causes: Iterable[Cause]) -> list[Cause]:
        """Return those of some causes that are not left out by name.

        Args:
            causes: some.
        """
        known = {_name(cause) for cause in self._causes}
        return [cause for cause in causes if _name(cause) not in known]

    def add(self, causes: Iterable[Cause]) -> None:
        """Leave causes out from now on.

        Args:
            causes: these.
        """
        self._causes += causes

    def add_growing(self, causes: Iterable[Cause], signals: Collection[Signal]) -> None:
        """Leave causes out from now on, as far as signals grow.

        Args:
            causes: these.
            signals: what grows; memory always counts.
        """
        growing = MEMORY_SIGNALS | set(signals)
        for cause in causes:
            taken = {s: n for s, n in cause.per_call.items() if s in growing}
            self._causes.append(replace(cause, per_call=taken))

    def has_container_of(self, cause: Cause) -> bool:
        """Return whether a cause is a container whose share is subtracted already.

        Args:
            cause: any.
        """
        container = cause.holding.growing_container
        return container is not None and any(
            container is one.holding.growing_container for one in self._causes
        )

    def beside(self, so_far: Verdict) -> bool:
        """Return whether considerable growth is left for which no block was found.

        Args:
            so_far: the growth of everything.
        """
        from pytest_memguard.recording.causes import explained

        return any(
            rate.signal != "blocks"
            and rate.per_call >= SMALL_PART * explained(self._causes, rate.signal)
            for rate in so_far.rates
        )

    def subtracted_from(self, reader: SettledSignals) -> AdjustedSignals:
        """Return readings without what they take.

        Args:
            reader: reads the signals.
        """
        shares = [
            Share(
                cause.holding.growing_container,
                cause.holding.gained,
                cause.calls,
                cause.per_call,
                self._calls,
            )
            for cause in self._causes
        ]
        return AdjustedSignals(reader, shares)

    def kept(self) -> tuple[Kept, ...]:
        """Return what the test runner keeps."""
        return tuple(_kept(cause) for cause in self._causes if _owner(cause))

    def filling(self) -> str:
        """Return a description of the caches that fill; empty if there are none."""
        limits = [cause.path.bounded for cause in self._causes if cause.path is not None]
        return "; ".join(filter(None, limits))


def _name(cause: Cause) -> str:
    path = cause.path
    return "" if path is None else f"{path.holder} {path.limit}"


def _owner(cause: Cause) -> str:
    return "" if cause.path is None else cause.path.owner


def _kept(cause: Cause) -> Kept:
    path = cause.path
    return Kept(
        owner=_owner(cause),
        holder="" if path is None else path.holder,
        rates=tuple(cause.per_call.items()),
    )
