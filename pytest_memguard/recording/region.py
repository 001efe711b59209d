"""A stretch of time with levels and peaks of its own, and what older memory hides of them."""

from __future__ import annotations

from pytest_memguard.allocator.freed import NO_GENERATION, Collection, done_by
from pytest_memguard.judge.slack_thresholds import RSS_RESOLUTION
from pytest_memguard.model import Bound


class Region:
    """A stretch of time being measured; the recorder fills it in.

    ``levels`` and ``highs`` hold one number of bytes per meter, resident memory first.

    A garbage collection in the meantime frees memory that was there before the region, and
    what the test allocates next can take its place: the high-water mark does not show it.
    So the bytes that were freed are added to every later reading. How many of them were
    older than the region is known within bounds. What the test has itself is never less than
    nothing, so if less is resident afterwards than when the region began, at least that much
    was older; at most all of it was. Of later collections that reach a generation only what
    they free beyond the test's own memory counts: it has let go of older memory meanwhile.

    Attributes:
        levels: where each meter stood at the start.
        highs: the highest each stood since, with the least that was freed added.
        top: the highest the first one can have stood, with the most that can have been freed.
        resident: the highest the first one really stood.
        after: where each stood at the end.
        missed: bytes that each may have missed above its highest; ``None`` for any number.
        least_freed: bytes of memory older than the region that collections freed, at least.
        most_freed: bytes of it that collections freed, at most.
        reached: the oldest generation whose garbage has been collected since the start.
        is_blind: whether a collection may have gone unseen.
    """

    __slots__ = (
        "after",
        "highs",
        "is_blind",
        "least_freed",
        "levels",
        "missed",
        "most_freed",
        "reached",
        "resident",
        "seconds",
        "started",
        "top",
    )

    def __init__(self) -> None:
        self.levels: list[int] = []
        self.highs: list[int] = []
        self.after: list[int] = []
        self.missed: list[int | None] = []
        self.started = 0.0
        self.seconds = 0.0
        self.top = self.resident = self.least_freed = self.most_freed = 0
        self.reached = NO_GENERATION
        self.is_blind = False

    def begin(self, levels: list[int]) -> None:
        """Take the levels at the start, in bytes."""
        self.levels, self.highs = levels, levels.copy()
        self._forget(levels[0])

    def begin_again(self, level: int) -> None:
        """Begin once more with the level of the one meter there is, in bytes.

        Nothing is allocated but numbers: this is done while slack is filled, when an object of
        another size would open an arena and keep it alive.
        """
        self.levels[0] = self.highs[0] = level
        self._forget(level)

    def _forget(self, level: int) -> None:
        self.top = self.resident = level
        self.least_freed = self.most_freed = 0
        self.reached = NO_GENERATION
        self.is_blind = False

    @property
    def is_plain(self) -> bool:
        """Whether nothing is known of it but its levels: no collection freed anything."""
        return not (self.most_freed or self.is_blind)

    def note(self, meter: int, high: int) -> None:
        """Take the highest level of a meter since the last note, in bytes."""
        if meter == 0:
            self.resident = max(self.resident, high)
            self.top = max(self.top, high + self.most_freed)
            high += self.least_freed
        self.highs[meter] = max(self.highs[meter], high)

    def collected(self, level: int, collection: Collection) -> None:
        """Take what a collection freed, after `note`.

        Args:
            level: resident bytes when it had ended.
            collection: what it freed.
        """
        older = self._older(collection)
        self.reach(collection.generation)
        self.least_freed = max(self.least_freed, self.levels[0] - level)
        self.most_freed = max(self.most_freed + older, self.least_freed)

    def reach(self, generation: int) -> None:
        """Note that the garbage of a generation, and of younger ones, has been collected."""
        self.reached = max(self.reached, done_by(generation))

    def concerns(self, collection: Collection) -> bool:
        """Whether a collection may have freed memory that is older than the region."""
        left = self.levels[0] - collection.left
        return self._older(collection) > 0 or left > self.least_freed

    def _older(self, collection: Collection) -> int:
        """Bytes older than the region that a collection freed, at most."""
        if collection.generation > self.reached:
            return collection.freed
        # what the test has itself goes first
        own = max(0, collection.resident - self.levels[0] + self.least_freed)
        return max(0, collection.freed - max(own, collection.grown))

    def lose_sight(self) -> None:
        """Note that a collection may have gone unseen, and freed whatever there was."""
        self.top += self.levels[0]
        self.is_blind = True

    def rise(self, meter: int = 0) -> int:
        """Bytes the peak lies above the level at the start, at least."""
        if meter >= len(self.levels):  # the meter came later
            return 0
        return self.highs[meter] - self.levels[meter]

    def unseen(self, meter: int = 0) -> int | None:
        """Bytes the peak may be above its rise, as the meter cannot see all; ``None``: any."""
        return self.missed[meter] if meter < len(self.missed) else 0

    def hidden(self) -> int:
        """Bytes by which the peak may lie above `rise`, because older memory was freed."""
        return max(0, self.top - self.highs[0])

    def growth(self, meter: int = 0) -> int:
        """Bytes the level moved from start to end."""
        return self.after[meter] - self.levels[meter]


def doubt(region: Region, slack: int, dropped_bytes: int) -> tuple[int, Bound]:
    """By how much the peak of a region may lie above its rise, and why most of it.

    The peak is never higher than what is resident in the whole process.

    Args:
        region: it has ended.
        slack: bytes that were free inside the allocators at its start, at most.
        dropped_bytes: older memory that went away without a collection.
    """
    hidden = region.hidden()
    reasons: dict[Bound, int] = {
        "slack": slack,
        "unseen" if region.is_blind else "collected": hidden,
        "dropped": dropped_bytes,
    }
    most = max(0, region.resident - region.rise())
    return min(sum(reasons.values()), most), max(reasons, key=lambda bound: reasons[bound])


def dropped(start: int, end: int, freed: int) -> int:
    """Bytes of memory from before a test that went away in it, as far as its end shows.

    Memory that is dropped while the test runs hides as much of its peak. No counter tells how
    much went; but where the process is smaller at the end than it was, at least that much did.

    Args:
        start: resident bytes when the test, or its call, began.
        end: resident bytes when the call had ended.
        freed: bytes that collections freed, which count by themselves.
    """
    return max(0, start - end - freed - RSS_RESOLUTION)
