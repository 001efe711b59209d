"""Finds what a `threading.local` written in C keeps, which it does not report."""

from __future__ import annotations

import _thread
from typing import Any, Final
from weakref import ReferenceType

from pytest_memguard.attribution import raw

_LOCAL: Final = _thread._local  # noqa: SLF001  `threading.local` may be another version


def is_thread_local(held: object) -> bool:
    """Return whether an object is a `threading.local`, or of a class derived from it."""
    return issubclass(type(held), _LOCAL)


def stand_ins(held: object) -> list[Any]:
    """Return what a `threading.local` has in the dict of each thread that has used it.

    The local refers to them weakly, and the dict of a thread, which no object refers to, has
    them. When the local goes away, it takes them out of those dicts. So it holds them.

    Args:
        held: a `threading.local`.
    """
    parts = [part for part in raw.referents(held) if raw.is_exactly(part, dict, set)]
    members = [one for part in parts for one in raw.referents(part)]
    weak = [one for one in members if issubclass(type(one), ReferenceType)]
    found = map(ReferenceType.__call__, weak)
    return [one for one in found if one is not None]
