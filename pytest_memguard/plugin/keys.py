"""Where what a session has made is kept for whoever asks for it later."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_memguard.plugin.items import ItemHooks
    from pytest_memguard.plugin.terminal_line import TerminalLine
    from pytest_memguard.storage.known_leaks import KnownFile

ITEMS: pytest.StashKey[ItemHooks] = pytest.StashKey()
"""What measures tests in this process."""
START: pytest.StashKey[Callable[[], None]] = pytest.StashKey()
"""Sets up what measures tests, where no test has called for it so far."""
KNOWN: pytest.StashKey[KnownFile] = pytest.StashKey()
"""The leaks that were accepted before."""
LINE: pytest.StashKey[TerminalLine] = pytest.StashKey()
"""The line on a terminal that shows a leak check that lasts."""
