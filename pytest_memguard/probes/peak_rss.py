"""Measures peak RSS by the kernel's high-water mark, reset each time (Linux)."""

from __future__ import annotations

import mmap
import os
import sys
from collections.abc import Sequence
from functools import partial
from typing import Final

from pytest_memguard.errors import Unmeasurable
from pytest_memguard.model.measurements import Method
from pytest_memguard.model.metrics import RSS
from pytest_memguard.probes import marks_in_use
from pytest_memguard.probes.inherited_peak import PeakBelowInherited
from pytest_memguard.probes.mark_resets import RESET_BY_TEST, ResetWatch, opened_by_us
from pytest_memguard.probes.resident import ProcFile, resident_reader
from pytest_memguard.sizes import KIB, MIB

_TRIAL: Final = 2 * MIB
_DRIFT: Final = 128 * KIB
RESET_REQUEST: Final = b"5"
"""What is written to have the kernel reset the mark."""


class PeakRss:
    """The high-water mark of this process, which is reset whenever a measurement starts.

    Writing ``5`` to ``/proc/self/clear_refs`` resets the mark to the current level
    (proc_pid_clear_refs(5), Linux 4.0). ``getrusage`` returns the mark in a sixth of the time
    that ``/proc/self/status`` takes, but never less than the mark that this process inherited
    from a larger one that started it; below that `PeakBelowInherited` reads it. The mark is the
    same for each thread (getrusage(2), ru_maxrss), and asking for one thread saves the kernel
    adding up the times of all threads.

    Several of these may be in use at once, one inside the other, if a test runs pytest in the
    same process. Each remembers the mark before another resets it.

    Attributes:
        file: the file that resets the mark.
        usage: ``getrusage``, which returns the mark in KiB.
        thread: its argument.
        inherited_peak: bytes up to which ``ru_maxrss`` is the mark that this process inherited.
        below_inherited: reads the mark below that.
        resets: notices resets by other code; ``None`` if the kernel does not report them.
        unwatched: why resets go unnoticed; empty if they are noticed.
        undisturbed: whether no other mark is in use, and none has reset this one.

    Raises:
        Unmeasurable: if there is no mark, or it does not follow memory.
    """

    metric = RSS
    hooks_allocators = False
    running = True
    method: Method = "kernel mark"

    def __init__(self) -> None:
        if sys.platform != "linux":
            msg = "the kernel has no high-water mark that can be reset (Linux has one)"
            raise Unmeasurable(msg)
        import resource

        try:
            self.file = ProcFile("clear_refs", os.O_WRONLY, opened_by_us)
            status = ProcFile("status")
        except OSError as error:
            msg = f"/proc/self/status or clear_refs cannot be opened ({error.strerror})"
            raise Unmeasurable(msg) from error
        self.usage, self.thread = resource.getrusage, resource.RUSAGE_THREAD
        self.level = resident_reader()
        whole = partial(resource.getrusage, resource.RUSAGE_SELF)
        self.below_inherited = PeakBelowInherited(
            self.level, whole, partial(_mark_from, status)
        )
        self.inherited_peak = self._bias = self._carried = 0
        self.undisturbed = True
        self.resets: ResetWatch | None = None
        self.unwatched = ""
        try:
            self.resets = ResetWatch()
        except (OSError, AttributeError) as error:
            self.unwatched = str(error)
        marks_in_use.add(self)
        try:
            self._try_out()
        except Unmeasurable:
            self.close()
            raise

    def reset_by_others(self, _: float = 0) -> Sequence[object]:
        """Return whether other code may have reset the mark since `start`: not empty if so."""
        return self.resets.poll(0) if self.resets is not None else ()

    @property
    def lost(self) -> str:
        """Why the mark is not valid, if other code has reset it since `start`."""
        resets = self.resets
        if resets is None or not (resets.noticed or resets.poll(0)):
            return ""
        return RESET_BY_TEST if resets.seen() else ""

    def note_reset(self) -> None:
        """Note that other code reset the mark before this one existed."""
        if self.resets is not None:
            self.resets.note()

    def start(self) -> None:
        """Forget earlier resets; the kernel always measures."""
        if self.resets is not None:
            self.resets.start()

    def stop(self) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Stop noticing resets."""
        marks_in_use.discard(self)
        if self.resets is not None:
            self.resets.close()
            self.resets = None

    def reset(self) -> int:
        """Reset the mark, and return where it is now: the level as the mark counts it.

        Pages that the processors have not added up yet make the kernel's two counters differ,
        so this number may only be compared with `mark`.
        """
        self.reset_only()
        self._bias = 0
        return self.below_inherited.level() if self.inherited_peak else self._lifetime_mark()

    def reset_only(self) -> None:
        """Reset the mark without reading where it is now."""
        if not self.undisturbed:
            marks_in_use.carry_all(self)
        self.file.write(RESET_REQUEST)
        self._carried = 0

    def carry(self) -> None:
        """Remember the mark, before it is reset."""
        self._carried = self.mark()
        self.undisturbed = False

    def mark(self) -> int:
        """Return the mark, in bytes."""
        mark = self.usage(self.thread).ru_maxrss * KIB
        if mark <= self.inherited_peak:
            mark = self.below_inherited.mark()
        return max(mark, self._carried)

    def rise_above(self, base: int) -> int:
        """Return by how much the mark is above an earlier one, in bytes; never below 0."""
        mark = self.usage(self.thread).ru_maxrss * KIB
        if mark <= self.inherited_peak or self._carried:
            mark = self.mark()
        return mark - base if mark > base else 0

    def restart(self) -> int:
        """Reset the mark, and return the level in bytes."""
        base = self.reset()
        level = self.level()
        self._bias = base - level
        return level

    def read(self) -> tuple[int, int]:
        """Return the level and the highest level since `restart`, in bytes."""
        high = self.mark() - self._bias
        level = self.level()
        return level, max(high, level)

    def missed(self, start: int, high: int) -> int | None:
        """Return 0: the kernel counts every page; ``None`` if other code reset the mark."""
        return None if self.lost else 0

    def _lifetime_mark(self) -> int:
        """Return the larger of the mark and the one that this process inherited."""
        return self.usage(self.thread).ru_maxrss * KIB

    def _try_out(self) -> None:
        """Test with a block of known size that the mark rises, stays, and can be reset."""
        try:
            self.reset()
            low = self.below_inherited.read_mark()
            inherited = self._lifetime_mark()
            if inherited > low + _DRIFT:
                self.inherited_peak = inherited + _TRIAL
            self.restart()
            with mmap.mmap(-1, _TRIAL) as block:
                for page in range(0, _TRIAL, mmap.PAGESIZE):
                    block[page] = 1
            level, high = self.read()
            risen = high - level
            self.restart()
            level, high = self.read()
        except (OSError, ValueError, IndexError) as error:
            msg = f"the kernel's mark cannot be read or reset ({error})"
            raise Unmeasurable(msg) from error
        if risen < _TRIAL // 2:
            msg = "the kernel's mark did not follow a block that was used and given back"
            raise Unmeasurable(msg)
        if high - level > _TRIAL // 2:
            msg = "the kernel's mark did not change when it was reset"
            raise Unmeasurable(msg)


def _mark_from(status: ProcFile) -> int:
    text = status.read(4096)
    at = text.find(b"VmHWM:")
    if at < 0:
        msg = "/proc/self/status has no line VmHWM"
        raise Unmeasurable(msg)
    return int(text[at + 6 : at + 32].split(None, 1)[0]) * KIB
