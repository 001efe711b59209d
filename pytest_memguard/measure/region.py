"""A region of time with levels and peaks of its own, and what freed memory hides of them."""

from __future__ import annotations

from pytest_memguard.allocator.freed import NO_GENERATION, Collection, done_by
from pytest_memguard.judge.slack_thresholds import RSS_RESOLUTION
from pytest_memguard.model.measurements import Bound


class Region:
    """A region of time that is being measured; the recorder fills it in.

    ``levels`` and ``highs`` have one number of bytes for each meter, resident memory first.

    A garbage collection in the region may free memory that was there before, and what the test
    allocates next can take its place without raising the high-water mark. So the freed bytes
    are added to all later readings. How many of them were older than the region is known within
    bounds. The test's own memory is never negative: if less is resident after a collection than
    when the region began, at least the difference was older; at most all freed bytes were.
    Later collections of the same generation count only as far as they free more than the test's
    own memory: then it has let go of older memory meanwhile.

    Attributes:
        levels: the level of each meter at the start.
        highs: the highest level of each since, with the least that was freed added.
        top: the highest possible level of the first meter, with the most that was freed added.
        resident: the highest level that the first meter really had.
        after: the level of each at the end.
        missed: bytes that each may have missed above its highest level; ``None`` for any
            number.
        least_freed: the least bytes of older memory that collections freed.
        most_freed: the most bytes of older memory that collections freed.
        reached: the oldest generation whose garbage was collected since the start.
        is_blind: whether a collection may have been missed.
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
        """Set the levels at the start, in bytes."""
        self.levels, self.highs = levels, levels.copy()
        self._forget(levels[0])

    def begin_again(self, level: int) -> None:
        """Begin again with the level of the only meter, in bytes.

        Nothing but numbers is allocated: slack is being filled, and an object of another size
        would open an arena and keep it alive.
        """
        # as in `_forget`, without a call: this is done around every test
        self.levels[0] = self.highs[0] = self.top = self.resident = level
        self.least_freed = self.most_freed = 0
        self.reached = NO_GENERATION
        self.is_blind = False

    def _forget(self, level: int) -> None:
        self.top = self.resident = level
        self.least_freed = self.most_freed = 0
        self.reached = NO_GENERATION
        self.is_blind = False

    def lower(self, size: int) -> None:
        """Move the start and the peak down: so many bytes went that were none of its own."""
        self.levels[0] -= size
        self.highs[0] -= size
        self.top -= size
        self.resident -= size

    def keep_first_meter(self) -> None:
        """Forget all meters but that of resident memory: others are going to be read."""
        for numbers in (self.levels, self.highs, self.after, self.missed):
            del numbers[1:]

    def note(self, meter: int, high: int) -> None:
        """Note the highest level of a meter since the last note, in bytes."""
        if meter == 0:
            self.resident = max(self.resident, high)
            self.top = max(self.top, high + self.most_freed)
            high += self.least_freed
        self.highs[meter] = max(self.highs[meter], high)

    def collected(self, level: int, collection: Collection) -> None:
        """Note what a collection freed, after `note`.

        Args:
            level: resident bytes after the collection.
            collection: what it freed.
        """
        older = self._older(collection)
        self.reach(collection.generation)
        self.least_freed = max(self.least_freed, self.levels[0] - level)
        self.most_freed = max(self.most_freed + older, self.least_freed)

    def reach(self, generation: int) -> None:
        """Note that the garbage of a generation, and of younger ones, was collected."""
        self.reached = max(self.reached, done_by(generation))

    def concerns(self, collection: Collection) -> bool:
        """Return whether a collection may have freed memory that is older than the region."""
        left = self.levels[0] - collection.left
        return self._older(collection) > 0 or left > self.least_freed

    def _older(self, collection: Collection) -> int:
        """Return the most bytes older than the region that a collection may have freed."""
        if collection.generation > self.reached:
            return collection.freed
        # what the test has itself goes first
        own = max(0, collection.resident - self.levels[0] + self.least_freed)
        return max(0, collection.freed - max(own, collection.grown))

    def lose_sight(self) -> None:
        """Note that a collection may have been missed, and may have freed anything."""
        self.top += self.levels[0]
        self.is_blind = True

    def rise(self, meter: int = 0) -> int:
        """Return the least bytes that the peak lies above the level at the start."""
        if meter >= len(self.levels):  # the meter came later
            return 0
        return self.highs[meter] - self.levels[meter]

    def unseen(self, meter: int = 0) -> int | None:
        """Return bytes above the rise that the meter may have missed; ``None``: any number."""
        return self.missed[meter] if meter < len(self.missed) else 0

    def hidden(self) -> int:
        """Return bytes above the rise that the peak may have reached in freed older memory."""
        return max(0, self.top - self.highs[0])

    def growth(self, meter: int = 0) -> int:
        """Return the bytes by which the level changed from start to end."""
        return self.after[meter] - self.levels[meter]


def empty_region() -> Region:
    """A region of one meter that has not begun: its places are there before it does."""
    region = Region()
    region.begin([0])
    return region


def doubt(
    region: Region, slack: int, dropped_bytes: int, foreign: int = 0
) -> tuple[int, Bound]:
    """Return by how much the peak of a region may lie above its rise, and the main reason.

    The peak is never higher than what is resident in the whole process.

    Args:
        region: a region that has ended.
        slack: the most bytes of slack at its start.
        dropped_bytes: older memory that was freed without a collection.
        foreign: the most bytes of slack that other allocators had at its start.
    """
    hidden = region.hidden()
    reasons: dict[Bound, int] = {
        "slack": slack,
        "unseen" if region.is_blind else "collected": hidden,
        "dropped": dropped_bytes,
        "foreign": foreign,
    }
    most = max(0, region.resident - region.rise())
    return min(sum(reasons.values()), most), max(reasons, key=lambda bound: reasons[bound])


def dropped(start: int, end: int, freed: int) -> int:
    """Return the bytes of older memory that were freed during a test, as far as its end shows.

    Memory that is dropped while the test runs hides as much of its peak. No counter shows how
    much that was; but if the process is smaller at the end than at the start, at least that
    much.

    Args:
        start: resident bytes when the test, or its call, began.
        end: resident bytes when the call had ended.
        freed: bytes that collections freed, which count separately.
    """
    return max(0, start - end - freed - RSS_RESOLUTION)
