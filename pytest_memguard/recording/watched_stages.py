"""Keeps the named parts of a watch: those that last, and what was found in those that ended."""

from __future__ import annotations

from collections.abc import Callable

from pytest_memguard.recording.watch_peaks import Peaks
from pytest_memguard.watch_levels import Levels
from pytest_memguard.watches import StageOfWatch, WatchGrowth


class OpenStage:
    """A named part of the watch, while it lasts.

    Args:
        name: its name.
        start: seconds from the start of the watch.
        before: the reading at its start.
    """

    def __init__(self, name: str, start: float, before: Levels) -> None:
        self.name = name
        self.start = start
        self.before = before
        self.peak = Peaks(before)


class WatchedStages:
    """The stages of one watch.

    Args:
        growth: judges what grew between two times.
    """

    def __init__(self, growth: Callable[[float, float], WatchGrowth]) -> None:
        self._growth = growth
        self._ended: list[StageOfWatch] = []
        self._open: list[OpenStage] = []
        self._marked: OpenStage | None = None

    def begin(self, name: str, at: float, levels: Levels) -> None:
        """Begin a stage.

        Args:
            name: its name.
            at: seconds since the start of the watch.
            levels: the reading at that time.
        """
        self._open.append(OpenStage(name, at, levels))

    def end(self, name: str, at: float, levels: Levels) -> StageOfWatch:
        """End the latest stage of this name; the arguments are those of `begin`."""
        stage = next(one for one in reversed(self._open) if one.name == name)
        self._open.remove(stage)
        ended = self._stage(stage, at, levels)
        self._ended.append(ended)
        return ended

    def mark(self, name: str, at: float, levels: Levels) -> None:
        """End the stage that a program has marked, and begin its next; none without a name."""
        if self._marked is not None:
            at = max(at, self._marked.start)
            self._marked.peak.note(levels)
            self._ended.append(self._stage(self._marked, at, levels))
            self._open.remove(self._marked)
            self._marked = None
        if name:
            self._marked = OpenStage(name, max(0.0, at), levels)
            self._open.append(self._marked)

    def note(self, levels: Levels) -> None:
        """Take a reading into account."""
        for stage in self._open:
            stage.peak.note(levels)

    def note_rss(self, peak: int) -> None:
        """Take a peak of resident memory into account, which no sample has seen."""
        for stage in self._open:
            stage.peak.note_rss(peak)

    def known(self, at: float, levels: Levels) -> tuple[StageOfWatch, ...]:
        """Return all stages, those that last as if they ended now."""
        return (*self._ended, *(self._stage(stage, at, levels) for stage in self._open))

    def _stage(self, stage: OpenStage, end: float, after: Levels) -> StageOfWatch:
        return StageOfWatch(
            name=stage.name,
            start=round(stage.start, 3),
            end=round(end, 3),
            before=stage.before,
            after=after,
            peak=stage.peak.levels,
            growth=self._growth(stage.start, end),
        )
