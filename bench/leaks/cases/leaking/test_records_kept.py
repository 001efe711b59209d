"""A handler of the project's own keeps every record that is logged."""

import logging

_LOG = logging.getLogger("leaks.records")


class Memory(logging.Handler):
    """Forgets nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep it."""
        self.seen.append(record)


_MEMORY = Memory()
_LOG.addHandler(_MEMORY)


def test_log() -> None:
    """A record was kept."""
    _LOG.warning("sold out")  # LEAK
    assert _MEMORY.seen
