"""Reads the kernel's counter of processes that it has killed for lack of memory."""

from __future__ import annotations

import re
from pathlib import Path

from pytest_memguard.values import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class OomCounter:
    """A reading of the counter."""

    kills: int | None
    """Number of kills; ``None`` if nothing counts them."""
    source: str
    """Whose counter it is; why there is none."""
    place: str = ""
    """File of the counter."""


def read_oom_counter(
    proc: Path = Path("/proc"), groups: Path = Path("/sys/fs/cgroup")
) -> OomCounter:
    """Return the counter of this process's control group, else the machine's.

    Both versions of control groups count kills where the killed process was, whichever limit
    was reached: ``memory.events`` (version 2) and ``memory.oom_control`` (version 1).

    Args:
        proc: folder of the kernel's process files.
        groups: folder where control groups are mounted.
    """
    for path, version in _candidates(_text(proc / "self/cgroup"), groups):
        found = re.search(r"^oom_kill (\d+)$", _text(path), re.MULTILINE)
        if found is not None:
            kills = int(found[1])
            return OomCounter(kills=kills, source=f"cgroup v{version}", place=str(path))
    vmstat = proc / "vmstat"
    found = re.search(r"^oom_kill (\d+)$", _text(vmstat), re.MULTILINE)
    if found is not None:
        return OomCounter(kills=int(found[1]), source="the machine", place=str(vmstat))
    return OomCounter(kills=None, source="this system counts no out-of-memory kills")


def _candidates(membership: str, groups: Path) -> list[tuple[Path, int]]:
    """Return where the counter may be, the most specific place first.

    A container may show the path as the host sees it; its own group is then the root.

    Args:
        membership: the text of ``/proc/self/cgroup``.
        groups: folder where control groups are mounted.
    """
    places: list[tuple[Path, int]] = []
    for line in membership.splitlines():
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        roots, name, version = [groups / "memory"], "memory.oom_control", 1
        if not controllers:
            roots, name, version = [groups, groups / "unified"], "memory.events", 2
        elif "memory" not in controllers.split(","):
            continue
        for root in roots:
            places += [(root / path.strip("/") / name, version), (root / name, version)]
    return places


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""
