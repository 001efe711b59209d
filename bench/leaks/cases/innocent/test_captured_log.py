"""Reads what it has logged."""

import logging

import pytest

_LOG = logging.getLogger("leaks.shop")


def test_log(caplog: pytest.LogCaptureFixture) -> None:
    """A warning is logged once."""
    caplog.clear()
    _LOG.warning("sold out")
    assert caplog.messages == ["sold out"]
    caplog.clear()
