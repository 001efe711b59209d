"""Collects log records and passes them on a hundred at a time."""

import logging
from itertools import count
from logging.handlers import MemoryHandler

_HANDLER = MemoryHandler(100, target=logging.NullHandler())
_NUMBERS = count(1_000)


def test_handle() -> None:
    """There are never more than a hundred."""
    record = logging.makeLogRecord({"msg": f"order {next(_NUMBERS)}", "levelno": logging.INFO})
    _HANDLER.handle(record)
    assert len(_HANDLER.buffer) < 100
