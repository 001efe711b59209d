"""A plugin that breaks ours: it hides what is free inside the process before a test."""

from __future__ import annotations

from dataclasses import replace

from pytest_memguard.probes import free_room

_read = free_room.FreeRoomProbe.read


def _read_nothing(self: free_room.FreeRoomProbe) -> free_room.FreeRoom:
    return replace(_read(self), blocks=(), pools=0, malloc=0, anywhere=0)


free_room.FreeRoomProbe.read = _read_nothing  # type: ignore[method-assign]
