"""Where what a session has made is kept for whoever asks for it later."""

from __future__ import annotations

import pytest

from pytest_memguard.plugin.items import ItemHooks
from pytest_memguard.storage.known_leaks import KnownFile

ITEMS = pytest.StashKey[ItemHooks]()
"""What measures tests in this process."""
KNOWN = pytest.StashKey[KnownFile]()
"""The leaks that were accepted before."""
