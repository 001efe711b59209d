"""Decides how the process of an isolated test died, from what is known about its end."""

from __future__ import annotations

import re
from collections.abc import Iterable

from pytest_memguard.judge.lost_worker import cause_of
from pytest_memguard.model.deaths import Death, Phase, Stopped
from pytest_memguard.model.flights import Ending

_MOST_FRAMES = 20
_CALL = re.compile(r'File "(.*)", line (\d+) in (.*)')
_OF_PYTEST = ("/_pytest/", "/pluggy/", "\\_pytest\\", "\\pluggy\\")


def death_of(
    ending: Ending,
    *,
    phase: Phase,
    seconds: float,
    stopped: Stopped | None = None,
    level: int | None = None,
    seen: int = 0,
    limit: int = 0,
    timeout: float = 0.0,
    where: str = "",
    stack: Iterable[str] = (),
    root: str = "",
) -> Death:
    """Return everything that is known about the death of a test's process.

    Args:
        ending: what is known about its end.
        phase: the phase that lasted.
        seconds: since the start of the test.
        stopped: why memguard itself stopped it; ``None`` if it did not.
        level: resident bytes at its start.
        seen: most bytes above that level that its process tree was seen to use.
        limit: the limit on them.
        timeout: the most seconds that it may take.
        where: who set these.
        stack: its Python stack, as faulthandler writes it.
        root: what paths in it are shown relative to.
    """
    used = None
    if level is not None and ending.highest is not None:
        used = max(seen, ending.highest - level)
    return Death(
        cause=stopped or cause_of(ending),
        phase=phase,
        ending=ending,
        seconds=seconds,
        level=level,
        used=used,
        limit=limit,
        timeout=timeout,
        where=where,
        stack=frames(stack, root),
    )


def frames(lines: Iterable[str], root: str = "") -> tuple[str, ...]:
    """Return the calls of a Python stack up to those of pytest, the innermost first.

    Args:
        lines: as faulthandler writes them; the thread that counts is the one marked as
            current, or the only one.
        root: what paths are shown relative to.
    """
    found: list[str] = []
    is_current = has_current = False
    for line in map(str.strip, lines):
        if "most recent call first" in line:
            if has_current and found:
                break
            is_current = line.startswith("Current thread")
            has_current |= is_current
            if is_current:
                found.clear()
        elif (call := _CALL.fullmatch(line)) is not None:
            path, number, function = call.groups()
            found.append(f"{path.removeprefix(root)}:{number} in {function}")
    inner = []
    for line in found:
        if any(part in line for part in _OF_PYTEST):
            break
        inner.append(line)
    return tuple((inner or found)[:_MOST_FRAMES])
