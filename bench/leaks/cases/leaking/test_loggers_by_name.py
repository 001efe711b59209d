"""Takes a logger of its own for every request: loggers are never forgotten."""

import logging
from itertools import count

_NUMBERS = count(1)


def handle() -> bool:
    """Handle a request with a logger that bears its number."""
    log = logging.getLogger(f"leaks.request{next(_NUMBERS)}")  # LEAK
    log.debug("handled")
    return log.disabled


def test_handle() -> None:
    """The logger works."""
    assert not handle()
