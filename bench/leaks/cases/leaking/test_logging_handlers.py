"""Adds one more handler to a logger on every call."""

import logging

_LOG = logging.getLogger("leaks.orders")


class OrderHandler(logging.NullHandler):
    """Goes nowhere."""


def set_up_logging() -> logging.Logger:
    """Prepare the logger again, although it is prepared."""
    _LOG.addHandler(OrderHandler())  # LEAK
    return _LOG


def test_set_up_logging() -> None:
    """The logger has a handler."""
    assert set_up_logging().handlers
