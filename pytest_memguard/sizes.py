"""Sizes in bytes, and how they are written: 1.5 GiB."""

from __future__ import annotations

from collections.abc import Iterable

KIB = 1024
MIB = 1024**2
GIB = 1024**3
TIB = 1024**4
_TENTHS = 10


def format_size(size: float) -> str:
    """Return bytes in words: "212.4 MiB", "1.50 GiB", "8.0 KiB", "40 B"."""
    magnitude = abs(size)
    if magnitude >= GIB - MIB / 20:
        return f"{size / GIB:.2f} GiB"
    # 1,048,550 bytes would read "1024.0 KiB" one unit lower
    if magnitude >= MIB - KIB / 20:
        return f"{size / MIB:.1f} MiB"
    if magnitude >= KIB:
        return f"{size / KIB:.1f} KiB"
    return f"{size:.0f} B"


def format_sizes(*sizes: float, visible: Iterable[float] = ()) -> list[str]:
    """Return bytes in words, all in one unit: ["55.4 MiB", "0.4 MiB"].

    Args:
        sizes: bytes; nothing is 0 B.
        visible: those of them that must not be less than a tenth of the unit; all of them if
            it is empty.
    """
    present = [abs(size) for size in sizes if size]
    least = min((abs(size) for size in visible if size), default=min(present, default=0))
    for unit, name, digits in ((GIB, "GiB", 2), (MIB, "MiB", 1), (KIB, "KiB", 1)):
        if present and max(present) >= unit - unit / KIB / 20 and least >= unit / _TENTHS:
            return [f"{size / unit:.{digits}f} {name}" if size else "0 B" for size in sizes]
    return [f"{size:.0f} B" for size in sizes]


def format_number(value: float, digits: int = 3) -> str:
    """Return a number in words, without an exponent: "0.333", "12.5", "1,204".

    Args:
        value: the number.
        digits: how many digits a small one has; a large one is a whole number.
    """
    few = abs(value) < 10 ** (digits - 1)
    return f"{value:.{digits}g}" if few else f"{value:,.0f}"


def format_mib(size: float) -> str:
    """Return bytes as a number of MiB, for table columns that name the unit."""
    text = f"{size / MIB:.1f}"
    return "0.0" if text == "-0.0" else text
