"""Writes a log into memory, and begins anew when it is long."""

import io

_LOG = io.StringIO()
_LONG = 5_000


def test_log() -> None:
    """The log does not become too long."""
    if _LOG.tell() > _LONG:
        _LOG.seek(0)
        _LOG.truncate()
    _LOG.write("something happened\n")
    assert _LOG.tell() < _LONG + 100
