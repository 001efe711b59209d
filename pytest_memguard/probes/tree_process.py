"""Reads one process of a tree from /proc (Linux), and what it surely shares with no other."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final, NamedTuple

from pytest_memguard.sizes import KIB

_FORKED: Final = 0x40
"""PF_FORKNOEXEC: the process is a copy of another, and has not replaced its program."""
_PAGE: Final = 4 * KIB if os.name == "nt" else os.sysconf("SC_PAGE_SIZE")


class Shares(NamedTuple):
    """How much of its resident memory a process shares, in bytes (smaps_rollup)."""

    proportional: int
    """Each page divided by the number of processes that have it (PSS)."""
    private: int
    """Pages that no other process has (USS)."""
    shared: int
    """What is not in that number of all its pages: it is in those of others."""
    copied: int
    """As much of it as belongs to no file, and so to its own descendants."""


NOTHING: Final = Shares(0, 0, 0, 0)
"""What a process has that has no memory of its own."""


class TreeProcess:
    """One process; its files stay open, so that its number cannot come to mean another one.

    Args:
        pid: its number.
        is_root: whether it is the process that the tree begins with.

    Attributes:
        pid: its number.
        parent: the number of its parent.
        is_zombie: whether it has ended, and nothing has waited for it yet.
        is_forked: whether it is a copy of its parent, and runs the same program.
        borrows: whether it runs in the memory of its parent until it runs a program (vfork).
        resident: resident bytes.
        anonymous: those of them that belong to no file and to no shared memory.
        inherited: how many of these it had when it was first seen; it may share them.
        most: the highest ``resident`` that was seen.
        mark: its own high-water mark in bytes, as the kernel keeps it.
        faults: its page faults.
        waited_faults: those of children that it has waited for.
        ignores_children: whether the kernel forgets children of it that have ended.

    Raises:
        OSError: if it has ended.
    """

    __slots__ = (
        "_is_root",
        "_stat",
        "_statm",
        "anonymous",
        "borrows",
        "faults",
        "ignores_children",
        "inherited",
        "is_forked",
        "is_zombie",
        "mark",
        "most",
        "parent",
        "pid",
        "resident",
        "waited_faults",
    )

    def __init__(self, pid: int, *, is_root: bool = False) -> None:
        self.pid = pid
        self._is_root = is_root
        self._stat = os.open(f"/proc/{pid}/stat", os.O_RDONLY)
        try:
            self._statm = os.open(f"/proc/{pid}/statm", os.O_RDONLY)
        except OSError:
            os.close(self._stat)
            raise
        self.parent = self.resident = self.anonymous = self.most = self.mark = 0
        self.faults = self.waited_faults = 0
        self.is_zombie = self.borrows = self.ignores_children = False
        self.is_forked = True
        self.inherited = -1
        try:
            self.update()
        except OSError:
            self.close()
            raise

    def update(self) -> None:
        """Read its counters.

        Raises:
            OSError: if it has ended, and has been waited for.
        """
        before = self.faults
        self._read_stat()
        if self.is_forked and not self._is_root and (self.inherited < 0 or self.borrows):
            self.borrows = _waits(self.parent)  # or that one waits for a disk, this time
        if self.is_zombie or self.borrows:
            self.resident = self.anonymous = 0
            return
        self.update_sizes()
        is_new = self.inherited < 0
        if is_new:
            self.inherited = self.anonymous
        if is_new or self._is_root or self.faults != before:  # memory rises by page faults
            self._read_status()

    def update_faults(self) -> None:
        """Read its page faults.

        Raises:
            OSError: if it has ended, and has been waited for.
        """
        self._read_stat()

    def update_sizes(self) -> None:
        """Read how large it is, and nothing else.

        Raises:
            OSError: if it has ended, and has been waited for.
        """
        sizes = os.pread(self._statm, 128, 0).split()
        if not sizes:
            raise ProcessLookupError
        resident, shared = int(sizes[1]), int(sizes[2])
        self.resident = resident * _PAGE
        self.anonymous = max(0, resident - shared) * _PAGE
        self.most = max(self.most, self.resident)

    @property
    def alone(self) -> int:
        """Bytes that no process but its own descendants can share.

        A copy shares at most what it had when it was first seen: what it has given up since
        cannot come back.
        """
        if not self.is_forked or self._is_root:
            return self.anonymous
        return max(0, self.anonymous - max(0, self.inherited))

    def shares(self) -> Shares | None:
        """Read how much it shares; nothing if that must not be known.

        Raises:
            ProcessLookupError: if it has ended.
        """
        if self.borrows or self.is_zombie:
            return NOTHING
        try:
            text = Path(f"/proc/{self.pid}/smaps_rollup").read_bytes()
        except (PermissionError, FileNotFoundError):
            self._read_stat()  # or it has ended
            return None
        if b"Pss:" not in text:
            raise ProcessLookupError
        private = _kib(text, b"\nPrivate_Clean:") + _kib(text, b"\nPrivate_Dirty:")
        anonymous, own = _kib(text, b"\nAnonymous:"), _kib(text, b"\nPss_Anon:")
        share = _kib(text, b"\nPss:")
        shared = _kib(text, b"\nRss:") - share
        return Shares(share, private, shared, max(0, anonymous - own))

    def is_same(self) -> bool:
        """Whether it lives, and runs the same program, as at the last update."""
        was = self.is_forked, self.is_zombie
        try:
            self._read_stat()
        except OSError:
            return False
        return was == (self.is_forked, self.is_zombie)

    def spike(self) -> int:
        """Bytes by which its own mark is above what was seen of it."""
        return 0 if self.is_forked else max(0, self.mark - self.most)

    def close(self) -> None:
        """Close its files."""
        os.close(self._stat)
        os.close(self._statm)

    def _read_stat(self) -> None:
        text = os.pread(self._stat, 1024, 0)
        if not text:
            raise ProcessLookupError
        fields = text[text.rindex(b")") + 2 :].split()
        self.is_zombie = fields[0] in {b"Z", b"X"}
        self.parent = int(fields[1])
        self.is_forked = bool(int(fields[6]) & _FORKED)
        self.borrows = self.borrows and self.is_forked
        self.faults = int(fields[7]) + int(fields[9])
        self.waited_faults = int(fields[8]) + int(fields[10])

    def _read_status(self) -> None:
        try:
            text = Path(f"/proc/{self.pid}/status").read_bytes()
        except OSError:
            return
        self.mark = max(self.most, _kib(text, b"\nVmHWM:"))
        at = text.find(b"\nSigIgn:")
        if at >= 0:
            ignored = int(text[at + 8 : text.index(b"\n", at + 1)], 16)
            self.ignores_children = bool(ignored >> 16 & 1)  # SIGCHLD


def parent_of(pid: int) -> int:
    """Return the number of a process's parent; 0 if it has ended."""
    try:
        text = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return 0
    return int(text[text.rindex(b")") + 2 :].split()[1])


def _kib(text: bytes, name: bytes) -> int:
    at = text.find(name)
    return 0 if at < 0 else int(text[at + len(name) :].split(None, 1)[0]) * KIB


def _waits(pid: int) -> bool:
    """Whether a thread of a process waits in the kernel, as the caller of vfork does."""
    try:
        threads = list(Path(f"/proc/{pid}/task").iterdir())
        states = [(thread / "stat").read_bytes().rpartition(b")")[2][1:2] for thread in threads]
    except OSError:  # one of them has ended
        return Path(f"/proc/{pid}").exists()
    return b"D" in states
