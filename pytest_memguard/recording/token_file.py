"""The file in which processes of all runs write what they have of the memory they share.

Each process has a place in it, and a lock on a byte that stands for the place. The system
releases the lock when the process dies, however that happens, and what stood there is void.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from pytest_memguard.model.admission import Share
from pytest_memguard.probes.descriptors import kept_open
from pytest_memguard.storage.byte_locks import try_lock, unlock

_RECORD: Final = struct.Struct("<10Q")
"""A share, field by field; all are numbers that are not negative."""
_MAGIC: Final = b"memguard tokens, version 1".ljust(_RECORD.size, b" ")
"""The first record of the file."""
_MOST: Final = 1_000
"""Number of processes that can share memory."""
_MUTEX: Final = 1 << 30
"""Byte that is locked while the file is read and changed; those of the places follow it."""
_PATIENCE: Final = 30.0
"""Seconds to wait for that lock, which is held for less than a millisecond."""
_PAUSE: Final = 0.0005
_FLAGS: Final = (
    os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
)


class TokenFile:
    """A place in the file, and the shares of all processes that live.

    Args:
        path: the file; it is made, and so is its folder.

    Raises:
        OSError: if it cannot be used, or belongs to another user.
    """

    def __init__(self, path: Path) -> None:
        # held here, not looked up: tests replace what they find in modules
        self._sleep, self._now, self._getpid = time.sleep, time.monotonic, os.getpid
        self.path = path
        self._owner = os.getpid()
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._open()
        self._place = -1
        with self.locked():
            if not os.fstat(self._file.number).st_size:
                self._write(0, _MAGIC)
            elif self._read(0, _RECORD.size) != _MAGIC:
                raise OSError(errno.EINVAL, "it is no file of tokens", str(path))
            self._take_place()

    @property
    def is_mine(self) -> bool:
        """Whether this process has opened it, and is not a fork of the one that has."""
        return self._getpid() == self._owner

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other processes from reading and writing meanwhile.

        Raises:
            OSError: if another process does so for too long, or the file cannot be locked.
        """
        end = self._now() + _PATIENCE
        while not try_lock(self._number(), _MUTEX):
            if self._now() > end:
                raise OSError(errno.ETIMEDOUT, "another process has it locked", str(self.path))
            self._sleep(_PAUSE)
        try:
            yield
        finally:
            unlock(self._file.number, _MUTEX)

    def others(self) -> list[Share]:
        """Return the shares of all other processes that live; to be called while it is locked.

        The place of one that has died is cleared.
        """
        found = []
        for place, share in self._shares():
            if place == self._place:
                continue
            if try_lock(self._file.number, _MUTEX + 1 + place):
                self._write(place + 1, bytes(_RECORD.size))
                unlock(self._file.number, _MUTEX + 1 + place)
            else:
                found.append(share)
        return found

    def look(self) -> list[Share]:
        """Return what stands in the file, also of processes that may have died."""
        self._number()
        return [share for _, share in self._shares()]

    def put(self, share: Share) -> None:
        """Write the share of this process."""
        self._number()
        fields = (
            share.run,
            share.pid,
            share.level,
            share.need,
            share.wanted,
            share.ticket,
            share.beat,
            share.test,
            share.known,
            share.median,
        )
        self._write(self._place + 1, _RECORD.pack(*(max(0, field) for field in fields)))

    def close(self) -> None:
        """Give the place up."""
        if self.is_mine and self._file.is_ours():
            with contextlib.suppress(OSError):
                self._write(self._place + 1, bytes(_RECORD.size))
            self._file.close()

    def _shares(self) -> list[tuple[int, Share]]:
        data = self._read(_RECORD.size, _RECORD.size * _MOST)
        whole = data[: len(data) - len(data) % _RECORD.size]
        return [
            (
                place,
                Share(
                    run=fields[0],
                    pid=fields[1],
                    level=fields[2],
                    need=fields[3],
                    wanted=fields[4],
                    ticket=fields[5],
                    beat=fields[6],
                    test=fields[7],
                    known=fields[8],
                    median=fields[9],
                ),
            )
            for place, fields in enumerate(_RECORD.iter_unpack(whole))
            if fields[1]
        ]

    def _take_place(self) -> None:
        for place in range(_MOST):
            if try_lock(self._file.number, _MUTEX + 1 + place):
                self._place = place
                self._write(place + 1, bytes(_RECORD.size))
                return
        raise OSError(errno.EAGAIN, f"{_MOST} processes use it", str(self.path))

    def _number(self) -> int:
        """Return the descriptor; a test may have closed it, and the locks are gone then.

        Raises:
            OSError: if it cannot be opened again.
        """
        if not self._file.is_ours():
            self._open()
            if not try_lock(self._file.number, _MUTEX + 1 + self._place):
                self._take_place()
        return self._file.number

    def _open(self) -> None:
        number = os.open(self.path, _FLAGS | getattr(os, "O_CLOEXEC", 0), 0o600)
        try:
            found = os.fstat(number)
            if not stat.S_ISREG(found.st_mode):
                raise OSError(errno.EINVAL, "it is no regular file", str(self.path))
            if hasattr(os, "geteuid") and found.st_uid != os.geteuid():
                raise OSError(errno.EPERM, "it belongs to another user", str(self.path))
        except OSError:
            os.close(number)
            raise
        self._file = kept_open(number)

    def _read(self, at: int, size: int) -> bytes:
        if hasattr(os, "pread"):
            return os.pread(self._file.number, size, at)
        os.lseek(self._file.number, at, os.SEEK_SET)
        return os.read(self._file.number, size)

    def _write(self, record: int, data: bytes) -> None:
        at = record * _RECORD.size
        if hasattr(os, "pwrite"):
            os.pwrite(self._file.number, data, at)
            return
        os.lseek(self._file.number, at, os.SEEK_SET)
        os.write(self._file.number, data)
