"""Parses sizes, counts and shares as people write them: "200 MB", 200, 1.5 GiB, 80%."""

from __future__ import annotations

import re
from decimal import MAX_EMAX, MAX_PREC, MIN_EMIN, Context, Decimal
from math import nan
from typing import Any, Final

from pytest_memguard.errors import ConfigError, quoted
from pytest_memguard.sizes import GIB, KIB, MIB, TIB, format_size

LARGEST: Final = 2**63 - 1
"""The largest size in bytes: what the kernel and every stored format can represent."""
MOST: Final = 1_000_000_000
"""The largest number of calls, seconds, files and the like."""

_FACTORS = {"b": 1, "k": KIB, "m": MIB, "g": GIB, "t": TIB}
# Compiled when they are first used, by `re` itself: most runs have no need of either.
_SIZE = r"(?ai)\s*(?P<number>\d+(?:\.\d*)?|\.\d+)\s*(?P<unit>b|bytes?|[kmgt](?:i?b)?|)\s*"
_SHARE = r"(?a)\s*(?P<number>\d+(?:\.\d*)?|\.\d+)\s*(?P<percent>%?)\s*"
_HINT = "write a number of MiB (200) or a text with a unit ('512 KB', '200 MB', '1.5 GiB')"
_BYTES_HINT = "write a number of bytes (512) or a text ('2 KB')"
# Keeps all digits of a product, however many they are.
_EXACT = Context(prec=MAX_PREC, Emin=MIN_EMIN, Emax=MAX_EMAX)


class Size(int):
    """A number of bytes that prints as a size and compares with one ("50 MB")."""

    __slots__ = ()

    def _read(self, text: str) -> int:
        """Return the number that a text stands for in a comparison."""
        return parse_size(text)

    def _operand(self, other: object) -> Any:
        return self._read(other) if isinstance(other, str) else other

    def __repr__(self) -> str:
        return format_size(self)

    __str__ = __repr__

    def __lt__(self, other: object) -> bool:
        return bool(int(self) < self._operand(other))

    def __le__(self, other: object) -> bool:
        return bool(int(self) <= self._operand(other))

    def __gt__(self, other: object) -> bool:
        return bool(int(self) > self._operand(other))

    def __ge__(self, other: object) -> bool:
        return bool(int(self) >= self._operand(other))

    def __eq__(self, other: object) -> bool:
        if isinstance(other, str):
            return int(self) == self._read(other)
        return int.__eq__(self, other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = int.__hash__


class Count(Size):
    """A number of things, such as open files: it prints as a number and compares with one."""

    __slots__ = ()

    def _read(self, text: str) -> int:
        if not is_whole(text.strip()):
            msg = (
                f"{quoted(text)} cannot be compared with a number of things, because their "
                "metric does not count bytes: write a whole number (50)"
            )
            raise ConfigError(msg)
        return int(text)

    def __repr__(self) -> str:
        return f"{int(self):,}"

    __str__ = __repr__


def parse_size(value: object) -> int:
    """Return the bytes of a size; every unit is a power of 1024.

    Args:
        value: a number of MiB, or a text with an optional unit (B, KB, MiB, G, ...).

    Returns:
        Bytes, at most `LARGEST`; 0 for ``None`` and 0, which switch a budget off.

    Raises:
        ConfigError: if the value is not a size.
    """
    if value is None:
        return 0
    return _size(value, 1 if isinstance(value, Size) else MIB, _HINT)


def parse_bytes(value: object) -> int:
    """Return the bytes of a size, as `parse_size` does; a bare number is bytes.

    Raises:
        ConfigError: if the value is not a size.
    """
    return _size(value, 1, _BYTES_HINT)


def _size(value: object, bare: int, hint: str) -> int:
    """Return the bytes of a size.

    Args:
        value: what the user wrote.
        bare: factor for a number without a unit.
        hint: says what would be right.

    Raises:
        ConfigError: if it is not a size, too large, or rounds down to 0.
    """
    match = re.fullmatch(_SIZE, _text(value))
    if match is None:
        msg = f"{quoted(value)} is not a size: {hint}"
        raise ConfigError(msg)
    unit = match["unit"].lower()
    factor = _FACTORS[unit[0]] if unit else bare
    exact = _EXACT.multiply(Decimal(match["number"]), factor)
    if exact > LARGEST:
        msg = f"{quoted(value)} is not a size, it is 8 EiB (2**63 bytes) or more: {hint}"
        raise ConfigError(msg)
    if 0 < exact < 1:
        msg = f"{quoted(value)} is not a size, it is less than a byte: {hint}"
        raise ConfigError(msg)
    return int(exact)


def _text(value: object) -> str:
    """Return a number as a text without an exponent: 1e-3 and 0.001 are the same size.

    Returns:
        The text; an empty one for anything but a number or a text.
    """
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return ""
    if isinstance(value, int):
        return f"{Decimal(value):f}"  # `int` refuses to write thousands of digits
    if isinstance(value, float):
        text = float.__repr__(value)
        return f"{Decimal(text):f}" if "e" in text else text
    return ""


def is_whole(text: str) -> bool:
    """Return whether a text is a whole number in the digits 0 to 9.

    `int` accepts other digits as well.
    """
    return text.isascii() and text.isdecimal()


def as_number(value: object) -> float | None:
    """Return a number, or that in a text of the digits 0 to 9.

    `float` accepts other digits as well.

    Returns:
        The number, which may be infinite or NaN; ``None`` for anything else.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    if isinstance(value, str) and (not value.isascii() or "_" in value):
        return None
    try:
        return float(value)
    except (ValueError, OverflowError):
        return None


def parse_count(value: object, what: str, least: int = 1) -> int:
    """Return a number of things.

    Args:
        value: a whole number, or a text of digits.
        what: the things, for messages.
        least: the smallest number that makes sense.

    Raises:
        ConfigError: if it is anything else, or above `MOST`.
    """
    text = _text(value).strip() if isinstance(value, (int, str)) else ""
    # `int` refuses to read thousands of digits; whole numbers up to `MOST` are exact floats
    count = float(text) if is_whole(text) else nan
    too_many = count > MOST
    if too_many or not count >= least:  # NaN is neither
        most = f" to {MOST}" if too_many else ""
        msg = (
            f"{quoted(value)} is not a number of {what}: "
            f"write a whole number from {least}{most}"
        )
        raise ConfigError(msg)
    return int(count)


def parse_share(value: object, of: str = "the budget") -> float | None:
    """Return the share that 0.8, "0.8" or "80%" stands for; ``None`` stays, 0 means no share.

    Args:
        value: what the user wrote.
        of: what it is a share of, for the message.

    Raises:
        ConfigError: if it is anything else.
    """
    if value is None:
        return None
    match = re.fullmatch(_SHARE, _text(value))
    share = nan
    if match is not None:
        share = float(match["number"]) / (100 if match["percent"] else 1)
    if not share < 1:  # nor is NaN
        hint = "write one below 1, as 0.8 or '80%'"
        msg = f"{quoted(value)} is not a share of {of}: {hint}"
        raise ConfigError(msg)
    return share
