"""Sizes as people write and read them: "200 MB", 200, 1.5 GiB to bytes, and back to words."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

from pytest_memguard.errors import ConfigError

KIB = 1024
MIB = 1024**2
GIB = 1024**3
TIB = 1024**4

_FACTORS = {"": MIB, "b": 1, "k": KIB, "m": MIB, "g": GIB, "t": TIB}
# Compiled when they are first used, by `re` itself: most runs have no need of either.
_SIZE = r"(?ai)\s*(?P<number>\d+(?:\.\d*)?|\.\d+)\s*(?P<unit>b|bytes?|[kmgt](?:i?b)?|)\s*"
_SHARE = r"(?a)\s*(?P<number>\d+(?:\.\d*)?|\.\d+)\s*(?P<percent>%?)\s*"
_HINT = "write a number of MiB (200) or a text with a unit ('512 KB', '200 MB', '1.5 GiB')"


class Size(int):
    """A number of bytes that prints as a size and compares with one ("50 MB")."""

    __slots__ = ()

    def __repr__(self) -> str:
        return format_size(self)

    __str__ = __repr__

    def __lt__(self, other: object) -> bool:
        return bool(int(self) < _operand(other))

    def __le__(self, other: object) -> bool:
        return bool(int(self) <= _operand(other))

    def __gt__(self, other: object) -> bool:
        return bool(int(self) > _operand(other))

    def __ge__(self, other: object) -> bool:
        return bool(int(self) >= _operand(other))

    def __eq__(self, other: object) -> bool:
        if isinstance(other, str):
            return int(self) == parse_size(other)
        return int.__eq__(self, other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = int.__hash__


def _operand(other: object) -> Any:
    return parse_size(other) if isinstance(other, str) else other


def parse_size(value: object) -> int:
    """Turn what a person wrote into bytes; every unit is a power of 1024.

    Args:
        value: a number of MiB, or a text with an optional unit (B, KB, MiB, G, ...).

    Returns:
        Bytes; 0 for ``None`` and 0, which switch a budget off.

    Raises:
        ConfigError: if the whole value is not a size.
    """
    if value is None:
        return 0
    if isinstance(value, Size):
        return int(value)
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        msg = f"{value!r} is not a size: {_HINT}"
        raise ConfigError(msg)
    text = value if isinstance(value, str) else _plain(value)
    if text.isascii() and text.isdecimal():  # what most people write
        return int(text) * MIB
    match = re.fullmatch(_SIZE, text)
    if match is None:
        msg = f"{value!r} is not a size: {_HINT}"
        raise ConfigError(msg)
    from fractions import Fraction  # of no use for a whole number of MiB

    unit = match["unit"].lower()
    return int(Fraction(match["number"].rstrip(".")) * _FACTORS[unit[:1]])


def parse_bytes(value: object) -> int:
    """Turn what a person wrote into bytes, as `parse_size` does; a bare number is bytes.

    Raises:
        ConfigError: if the whole value is not a size.
    """
    bare = isinstance(value, (int, float)) and not isinstance(value, bool)
    text = _plain(value) if isinstance(value, (int, float)) and bare else str(value).strip()
    try:
        return parse_size(f"{text} B" if bare or text[-1:].isdecimal() else value)
    except ConfigError:
        msg = f"{value!r} is not a size: write a number of bytes (512) or a text ('2 KB')"
        raise ConfigError(msg) from None


def _plain(number: float) -> str:
    """Write a number without an exponent, so that 1e-3 and 0.001 are the same size."""
    if isinstance(number, int):
        return int.__repr__(number)
    text = float.__repr__(number)
    return f"{Decimal(text):f}" if "e" in text else text


def parse_share(value: object) -> float | None:
    """Turn 0.8, "0.8" or "80%" into a share below 1; ``None`` stays, 0 means none at all.

    Raises:
        ConfigError: if it is anything else.
    """
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        share = -1.0
    else:
        match = re.fullmatch(_SHARE, value if isinstance(value, str) else _plain(value))
        share = -1.0
        if match is not None:
            share = float(match["number"]) / (100 if match["percent"] else 1)
    if not 0 <= share < 1:
        msg = f"{value!r} is not a share of the budget: write one below 1, as 0.8 or '80%'"
        raise ConfigError(msg)
    return share


def format_size(size: float) -> str:
    """Write bytes for people: "212.4 MiB", "1.50 GiB", "8.0 KiB", "40 B"."""
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
    """Write bytes as a bare number of MiB, for table columns that name the unit."""
    text = f"{size / MIB:.1f}"
    return "0.0" if text == "-0.0" else text
