"""Highest resident memory, from the kernel's own high-water mark (Linux)."""

from __future__ import annotations

import mmap
import os
import sys
from collections.abc import Sequence
from functools import partial
from typing import Final

from pytest_memguard.errors import Unmeasurable
from pytest_memguard.metrics import RSS
from pytest_memguard.model import Method
from pytest_memguard.probes import marks_in_use
from pytest_memguard.probes.inherited_peak import PeakBelowInherited
from pytest_memguard.probes.mark_resets import RESET_BY_TEST, ResetWatch, opened_by_us
from pytest_memguard.probes.resident import ProcFile, resident_reader
from pytest_memguard.sizes import KIB, MIB

_TRIAL: Final = 2 * MIB
_DRIFT: Final = 128 * KIB
RESET_REQUEST: Final = b"5"
"""What is written to have the mark put back."""


class PeakRss:
    """The kernel's mark of this process, put back whenever something new is measured.

    Writing ``5`` to ``/proc/self/clear_refs`` puts the mark back to the current level
    (proc_pid_clear_refs(5), Linux 4.0). ``getrusage`` returns the mark in a sixth of the
    time that ``/proc/self/status`` takes, but never less than the mark this process
    inherited when it was started by a larger one; below that `PeakBelowInherited` reads it.
    It is the process's mark for each of its threads as well (getrusage(2), ru_maxrss), and
    asking for one thread spares the kernel adding up the time of them all.

    Several of these may be in use at once, one inside the other (a test that runs pytest
    in the same process): each notes the mark before another puts it back.

    Attributes:
        file: takes what puts it back.
        usage: ``getrusage``, which tells the mark in KiB.
        thread: its argument.
        inherited_peak: bytes up to which ``ru_maxrss`` is the mark this process inherited.
        below_inherited: reads the mark below that.
        resets: notices who else resets it; ``None`` where the kernel does not tell.
        unwatched: why nothing notices that; empty where it is noticed.
        undisturbed: whether no other mark is in use, and none has put this one back.

    Raises:
        Unmeasurable: if the mark is missing or does not follow what memory does.
    """

    metric = RSS
    hooks_allocators = False
    running = True
    method: Method = "kernel mark"

    def __init__(self) -> None:
        if sys.platform != "linux":
            msg = "the kernel keeps no mark that can be put back (Linux has one)"
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
        """What is not empty if something else may have reset the mark since `start`."""
        return self.resets.poll(0) if self.resets is not None else ()

    @property
    def lost(self) -> str:
        """Why the mark means nothing, if something else has reset it since `start`."""
        return RESET_BY_TEST if self.resets is not None and self.resets.seen() else ""

    def note_reset(self) -> None:
        """Note that something else has reset the mark before this one was there."""
        if self.resets is not None:
            self.resets.note()

    def start(self) -> None:
        """Forget who has reset the mark so far; the kernel always counts."""
        if self.resets is not None:
            self.resets.start()

    def stop(self) -> None:
        """Nothing to undo."""

    def close(self) -> None:
        """Stop noting what other marks put back."""
        marks_in_use.discard(self)
        if self.resets is not None:
            self.resets.close()
            self.resets = None

    def reset(self) -> int:
        """Put the mark back, and return where it is now: the level as the mark counts it.

        The kernel's two counters differ by what its processors have not added up yet;
        compare this number with `mark` alone.
        """
        self.reset_only()
        self._bias = 0
        return self.below_inherited.level() if self.inherited_peak else self._lifetime_mark()

    def reset_only(self) -> None:
        """Put the mark back, and do not ask where it is now."""
        if not self.undisturbed:
            marks_in_use.carry_all(self)
        self.file.write(RESET_REQUEST)
        self._carried = 0

    def carry(self) -> None:
        """Note the mark, before it is put back."""
        self._carried = self.mark()
        self.undisturbed = False

    def mark(self) -> int:
        """Where the mark is, in bytes."""
        mark = self.usage(self.thread).ru_maxrss * KIB
        if mark <= self.inherited_peak:
            mark = self.below_inherited.mark()
        return max(mark, self._carried)

    def rise_above(self, base: int) -> int:
        """How far the mark lies above where it was, in bytes; never below 0."""
        mark = self.usage(self.thread).ru_maxrss * KIB
        if mark <= self.inherited_peak or self._carried:
            mark = self.mark()
        return mark - base if mark > base else 0

    def restart(self) -> int:
        """Put the mark back to the level, and return the level in bytes."""
        base = self.reset()
        level = self.level()
        self._bias = base - level
        return level

    def read(self) -> tuple[int, int]:
        """Return the level and the highest level since `restart`, in bytes."""
        high = self.mark() - self._bias
        level = self.level()
        return level, max(high, level)

    def missed(self, start: int, high: int) -> int | None:  # noqa: ARG002  a Meter's
        """Nothing, since the kernel counts every page, unless others have reset the mark."""
        return None if self.lost else 0

    def _lifetime_mark(self) -> int:
        """The larger of the mark and the one this process was started with."""
        return self.usage(self.thread).ru_maxrss * KIB

    def _try_out(self) -> None:
        """Check on a block of known size that the mark rises, stays, and can be put back."""
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
            msg = f"the kernel's mark cannot be read or put back ({error})"
            raise Unmeasurable(msg) from error
        if risen < _TRIAL // 2:
            msg = "the kernel's mark did not follow a block that was used and given back"
            raise Unmeasurable(msg)
        if high - level > _TRIAL // 2:
            msg = "the kernel's mark stays where it was when asked to go back"
            raise Unmeasurable(msg)


def _mark_from(status: ProcFile) -> int:
    text = status.read(4096)
    at = text.find(b"VmHWM:")
    if at < 0:
        msg = "/proc/self/status has no line VmHWM"
        raise Unmeasurable(msg)
    return int(text[at + 6 : at + 32].split(None, 1)[0]) * KIB
