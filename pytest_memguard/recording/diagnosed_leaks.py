"""The leaks whose cause was found in this process, to recognise them in other tests."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from pytest_memguard.judge.rounds import FLOORS
from pytest_memguard.model.leaks import BYTE_SIGNALS, Diagnosis, Rate, Verdict
from pytest_memguard.values import dataclass

if TYPE_CHECKING:
    from pytest_memguard.recording.diagnosis import GrowingContainer

_OFF: Final = 0.04
"""Share by which blocks and things may differ from what the same number of items keep
elsewhere."""
_AS_FED_BYTES: Final = 3.0
"""How many times as many bytes an item may keep here as elsewhere: they depend on the data, and
allocators hand them out in larger pieces."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Explained:
    """A leak whose cause was found."""

    diagnosis: Diagnosis
    """Its cause."""
    verdict: Verdict
    """How its signals grew."""
    growing_container: GrowingContainer | None
    """The container that grows with it, if there is one."""


class DiagnosedLeaks:
    """The leaks of this process: the cause of each is looked for only once."""

    def __init__(self) -> None:
        self._known: dict[str, _Explained] = {}

    def has(self, fingerprint: str, verdict: Verdict) -> bool:
        """Return whether a leak with this fingerprint and about the same rate is known."""
        known = self._known.get(fingerprint)
        return known is not None and _is_alike(_ratio(verdict, known.verdict))

    def fed_by(
        self, call: Callable[[], None], verdict: Verdict, collect: Callable[[], None]
    ) -> Diagnosis | None:
        """Return the cause of a known leak whose container grows with a few calls.

        Args:
            call: makes one call.
            verdict: how the signals grow.
            collect: collects garbage, if it is to be collected.

        Returns:
            The known cause with its numbers at the rate of these calls; ``None`` if there is
            none.

        Raises:
            CallFailed: if a call failed.
        """
        for known in self._known.values():
            if known.growing_container is None or not _is_alike(_ratio(verdict, known.verdict)):
                continue
            fed = known.growing_container.fed_by(call, collect)
            # what grows faster than its items grow has another cause beside this one
            if fed and all(_is_as_fed(rate, known.verdict, fed) for rate in verdict.rates):
                return _at_rate(known.diagnosis, _ratio(verdict, known.verdict))
        return None

    def add(
        self, diagnosis: Diagnosis, verdict: Verdict, growing_container: GrowingContainer | None
    ) -> None:
        """Remember a leak whose cause was found."""
        if diagnosis.fingerprint:
            explained = _Explained(
                diagnosis=diagnosis, verdict=verdict, growing_container=growing_container
            )
            self._known.setdefault(diagnosis.fingerprint, explained)


def _ratio(verdict: Verdict, before: Verdict) -> float:
    """Return how many times as fast as before the first signal grows; 0 if it did not."""
    if not verdict.rates:
        return 0.0
    rate = verdict.rates[0]
    rates = {known.signal: known.per_call for known in before.rates}
    known = rates.get(rate.signal, 0.0)
    return rate.per_call / known if known > 0 else 0.0


def _is_as_fed(rate: Rate, before: Verdict, fed: float) -> bool:
    """Return whether a signal grows as fast as before, for this number of items."""
    known = before.rate_of(rate.signal)
    if rate.signal in BYTE_SIGNALS:
        # one that was too uneven to be named is about as large as the other
        expected = fed * (known or max(map(before.rate_of, BYTE_SIGNALS)))
        return expected / _AS_FED_BYTES <= rate.per_call <= _AS_FED_BYTES * expected
    expected = known * fed
    off = abs(rate.per_call - expected)
    return known > 0 and off <= FLOORS[rate.signal] + _OFF * expected


def _is_alike(ratio: float) -> bool:
    from pytest_memguard.recording.diagnosis import (
        ALIKE,
    )  # loaded already where a leak is known

    return 1 / ALIKE <= ratio <= ALIKE


def _at_rate(diagnosis: Diagnosis, ratio: float) -> Diagnosis:
    """Return a cause with lines that keep so many times as much."""
    lines = tuple(
        replace(
            line,
            count=round(ratio * line.count),
            size=round(ratio * line.size),
            of_python=round(ratio * line.of_python),
            small=round(ratio * line.small),
        )
        for line in diagnosis.lines
    )
    types = tuple(
        replace(growth, count=round(ratio * growth.count), size=round(ratio * growth.size))
        for growth in diagnosis.types
    )
    return replace(diagnosis, lines=lines, types=types)
