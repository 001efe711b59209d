"""What becomes of the reading of a leak check: accepted for a reason, or a failure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from pytest_memguard.checks.leak.filled import FilledContainers
from pytest_memguard.judge.accepted_leaks import with_acceptance
from pytest_memguard.judge.relative_paths import relative_path

if TYPE_CHECKING:
    from pytest_memguard.model.leaks import KnownLeak, LeakReading, Signal
    from pytest_memguard.options.settings import Settings

_ACCEPTED_NOW: Final = "accepted in this run (--mem-leak-accept)"
"""Why a leak that is accepted in this run does not fail; one without a name does."""


class LeakVerdicts:
    """Decides about the readings of leak checks.

    Args:
        settings: the settings of the run.
        root: what paths are shown relative to.
    """

    def __init__(self, settings: Settings, root: str) -> None:
        self._settings = settings
        self._root = root
        self._filled = FilledContainers()
        self._explained: dict[tuple[str, Signal], str] = {}

    def accepted(
        self,
        reading: LeakReading,
        *,
        tolerance: int,
        ignore: Sequence[str],
        known: Mapping[str, KnownLeak],
        nodeid: str,
    ) -> LeakReading:
        """A reading with relative paths that says why its leaks do not fail the test, if so.

        Args:
            reading: of one check.
            tolerance: bytes a call may leave behind.
            ignore: the marker's own patterns of leaks that do not fail.
            known: leaks accepted before, by fingerprint.
            nodeid: the test.
        """
        reading = _relative(reading, self._root)
        if reading.verdict.state != "leaking":
            return reading
        reading = self._filled.noted(reading, nodeid)
        return with_acceptance(
            reading,
            tolerance=tolerance,
            marker=ignore,
            ini=self._settings.leak_ignore,
            known=known,
            otherwise=_ACCEPTED_NOW if self._settings.leak_accept else "",
            nodeid=nodeid,
        )

    def fails(self, reading: LeakReading) -> bool:
        """Whether a test fails with a reading: leaking, or undecided where that counts."""
        undecided = self._settings.leak_strict and reading.verdict.state == "undecided"
        return reading.fails or undecided

    def text(self, reading: LeakReading, nodeid: str) -> str:
        """What a test fails with; it names the tests that have explained its leaks before."""
        from pytest_memguard.report.leak_text import leak_text

        return leak_text(reading, self._explained_before(reading, nodeid))

    def _explained_before(self, reading: LeakReading, nodeid: str) -> dict[str, str]:
        """The tests under which leaks of this one were explained before, by fingerprint."""
        found = {}
        for part in reading.parts:
            name = part.diagnosis.fingerprint if part.diagnosis is not None else ""
            if name and part.verdict.rates:
                # what else a container keeps open is a leak of its own
                key = (name, part.verdict.rates[0].signal)
                first = self._explained.setdefault(key, nodeid)
                if first != nodeid:
                    found[name] = first
        return found


def _relative(reading: LeakReading, root: str) -> LeakReading:
    """A reading with paths relative to the root, or to where a distribution is installed.

    Args:
        reading: of one check.
        root: the folder.
    """
    more = tuple(_relative(part, root) for part in reading.more)
    diagnosis = reading.diagnosis
    if diagnosis is not None:
        lines = tuple(
            replace(
                line,
                file=relative_path(line.file, root),
                caller=relative_path(line.caller, root),
                through=relative_path(line.through, root),
            )
            for line in diagnosis.lines
        )
        diagnosis = replace(diagnosis, lines=lines)
    return replace(reading, diagnosis=diagnosis, more=more)
