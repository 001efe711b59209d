"""Makes the fresh process of a run, whose tests are measured by the hooks around them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pytest_memguard.plugin.fresh.fresh_process import FreshProcess
from pytest_memguard.plugin.keys import ITEMS, PROCESS
from pytest_memguard.plugin.options import settings_of


def process_for(
    config: pytest.Config, prepare: Callable[[], object] | None = None
) -> FreshProcess:
    """Return the fresh process of a run, which is the same for all that ask for it.

    Args:
        config: the configuration of pytest.
        prepare: sets the session up there, where it is not when the process is forked.
    """
    process = config.stash.get(PROCESS, None)
    if process is None:
        # the hooks around tests are made with what asks for them
        process = FreshProcess(settings_of(config), lambda: config.stash[ITEMS].rerun, prepare)
        config.stash[PROCESS] = process
        config.pluginmanager.register(process, "memguard-fresh-process")
    return process
