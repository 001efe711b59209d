"""Sizes in bytes, and how they are written: 1.5 GiB."""

from __future__ import annotations

KIB = 1024
MIB = 1024**2
GIB = 1024**3
TIB = 1024**4


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


def format_mib(size: float) -> str:
    """Return bytes as a number of MiB, for table columns that name the unit."""
    text = f"{size / MIB:.1f}"
    return "0.0" if text == "-0.0" else text
