"""A process whose garbage collections tests make up, and a listener to them."""

from __future__ import annotations

from pytest_memguard.allocator.collection_watch import CollectionWatch
from pytest_memguard.allocator.freed import Collection
from pytest_memguard.probes.in_use import InUse
from pytest_memguard.sizes import MIB


class FakeProcess:
    """A process whose use of memory a test sets; it counts the readings."""

    def __init__(self) -> None:
        """Begin with ten mebibytes."""
        self.resident = 10 * MIB
        self.blocks: int | None = 0
        self.asked: list[str] = []

    def read(self, *, whole: bool, again: bool = False) -> InUse:
        """Return all numbers, or those that take little time."""
        self.asked.append(("whole" if whole else "some") + " again" * again)
        return InUse(resident=self.resident, blocks=self.blocks, heap=0, small=0)

    def read_like(self, before: InUse) -> InUse:
        """Return the same numbers again."""
        if before.blocks is None:
            return self.resident_only()
        return self.read(whole=False, again=True)

    def resident_only(self) -> InUse:
        """Return resident memory alone."""
        self.asked.append("resident")
        return InUse(resident=self.resident)


class Listener:
    """Records the events it is notified of."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self.received: list[tuple[int, int]] = []

    def collected(self, collection: Collection) -> None:
        """Record the event."""
        self.received.append((collection.freed // MIB, collection.generation))


def collect(
    watch: CollectionWatch,
    process: FakeProcess,
    generation: int,
    *,
    mebibytes: int = 2,
    objects: int = 1,
) -> None:
    """Let a collection free some mebibytes."""
    info = {"generation": generation, "collected": 0}
    watch("start", info)
    process.resident -= mebibytes * MIB
    watch("stop", {**info, "collected": objects})
