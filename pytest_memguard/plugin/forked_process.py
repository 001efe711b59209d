"""Makes the fresh process of a run, whose tests are measured by the hooks around them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from pytest_memguard.plugin.fresh_process import FreshProcess
from pytest_memguard.plugin.keys import ITEMS


def process_for(
    config: pytest.Config, prepare: Callable[[], object] | None = None
) -> FreshProcess:
    """Return what forks a process before the first test, and measures tests there.

    Args:
        config: pytest's.
        prepare: sets the session up there, where it is not when that is forked.
    """

    def measure_again(item: pytest.Item, metric: str, track: bool) -> Any:  # noqa: FBT001
        """Ask the hooks around tests, which are made with what asks for this."""
        return config.stash[ITEMS].rerun.alone(item, metric, track=track)

    return FreshProcess(measure_again, prepare)
