"""The memory that tests of a run share: the file with all shares, and how much there is."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import pytest

from pytest_memguard.model.admission import SMALL, Share
from pytest_memguard.plugin.options import settings_of, usage_error
from pytest_memguard.probes.memory_limit import tightest_limit
from pytest_memguard.probes.own_memory import own_memory_of
from pytest_memguard.sizes import GIB, MIB, format_size
from pytest_memguard.values import dataclass

_RESERVE: Final = 0.05
_LEAST_RESERVE: Final = 32 * MIB
_MOST_RESERVE: Final = GIB


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedSize:
    """How much memory tests share."""

    size: int
    """Bytes."""
    reason: str = ""
    """Why it is that many, if that was found out."""


def token_file_path() -> tuple[Path, bool]:
    """Return the file with the shares of all runs of this user, and whether it is private.

    A run that a test of another run has started has a file of its own: its tests would wait for
    the one that waits for them.
    """
    if "PYTEST_CURRENT_TEST" in os.environ:
        return Path(tempfile.mkdtemp(prefix="memguard-parallel-"), "tokens"), True
    user = f"-{os.getuid()}" if hasattr(os, "getuid") else ""
    return Path(tempfile.gettempdir(), f"memguard-parallel{user}", "tokens"), False


def shared_size(config: pytest.Config, others: Iterable[Share]) -> SharedSize:
    """Return how much memory the tests share.

    Args:
        config: the configuration of pytest.
        others: the shares of processes of other runs.

    Raises:
        pytest.UsageError: if that is to be found out, and nothing reports it.
    """
    settings = settings_of(config)
    where = settings.where("parallel")
    if isinstance(settings.parallel, int):
        return SharedSize(size=settings.parallel)
    limit = tightest_limit()
    if limit is None:
        raise usage_error(
            [f"{where}: this system does not report its memory: write a size ('8 GB')"]
        )
    # what this process and other runs have is not free, and part of what is shared
    known = (own_memory_of(share.pid) for share in others)
    held = sum(size for size in known if size is not None)
    free = limit.available + held + (own_memory_of(os.getpid()) or 0)
    reserve = int(min(max(free * _RESERVE, _LEAST_RESERVE), _MOST_RESERVE))
    reason = f"{format_size(free)} free ({limit.source}), less a reserve of "
    return SharedSize(size=max(SMALL, free - reserve), reason=reason + format_size(reserve))
