"""Sends JSON from one process to another over a pipe, a line for each message."""

from __future__ import annotations

import json
import os
import select
from typing import Any, Final

from pytest_memguard.clock import Clock

_CHUNK: Final = 1 << 16


def write_message(descriptor: int, data: Any, before: bytes = b"") -> None:
    """Write a message: JSON and a line break.

    Args:
        descriptor: of the pipe.
        data: what JSON can represent.
        before: bytes to write first.
    """
    message = before + json.dumps(data).encode() + b"\n"
    while message:
        message = message[os.write(descriptor, message) :]


def read_message(
    descriptor: int, deadline: float, stop: int | None = None
) -> tuple[bytes, bool]:
    """Read to the end of the message; the second value is false if it did not come in time.

    Args:
        descriptor: of the pipe.
        deadline: on the clock.
        stop: a descriptor; when there is something to read, or its end, reading ends.
    """
    waiting = select.poll()  # select() does not take descriptors from 1024 on
    waiting.register(descriptor, select.POLLIN)
    if stop is not None:
        waiting.register(stop, select.POLLIN)
    data = b""
    while True:
        left = deadline - Clock.seconds()
        ready = [fd for fd, _ in waiting.poll(1000 * left)] if left > 0 else []
        if descriptor not in ready:
            return data, False
        chunk = os.read(descriptor, _CHUNK)
        if not chunk or chunk.endswith(b"\n"):
            return data + chunk, True
        data += chunk
