"""Parses the levels of memory that are reported, as people write them in ``mem_alert``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from pytest_memguard.alerts import SEVERITIES, AlertLevel
from pytest_memguard.errors import ConfigError, quoted
from pytest_memguard.units import parse_size

LINE: Final = "worker rss = 1GB warning, 4GB critical"
"""An example of a line."""


def parse_line(line: object) -> tuple[AlertLevel, ...]:
    """Return the levels of a line.

    Args:
        line: as in `LINE`.

    Raises:
        ConfigError: if it makes no sense.
    """
    subject, equals, text = line.partition("=") if isinstance(line, str) else ("", "", "")
    if not equals or subject.split() != ["worker", "rss"]:
        msg = f"{quoted(line)} is not a line '{LINE}'"
        raise ConfigError(msg)
    return tuple(_level(part.strip(), line) for part in text.split(","))


def in_order(lines: Sequence[Sequence[AlertLevel]]) -> tuple[AlertLevel, ...]:
    """Return the levels of all lines, the lowest first.

    Args:
        lines: their levels.

    Raises:
        ConfigError: if a milder level is above a worse one, or one stands twice.
    """
    levels = sorted((level for line in lines for level in line), key=lambda one: one.size)
    weights = [SEVERITIES.index(level.severity) for level in levels]
    sizes = {level.size for level in levels}
    if weights != sorted(set(weights)) or len(sizes) < len(levels):
        order = ", ".join(SEVERITIES)
        msg = (
            f"each of {order} may stand once, and each needs a larger size than the one before"
        )
        raise ConfigError(msg)
    return tuple(levels)


def _level(text: str, line: object) -> AlertLevel:
    size, _, word = text.rpartition(" ")
    severity = next((one for one in SEVERITIES if one == word), None)
    if severity is None:
        msg = f"in {quoted(line)}, {quoted(text)} does not end in {', '.join(SEVERITIES)}"
        raise ConfigError(msg)
    try:
        found = parse_size(size)
    except ConfigError as error:
        msg = f"in {quoted(line)}, {error}"
        raise ConfigError(msg) from error
    if not found:
        msg = f"in {quoted(line)}, every process reaches {quoted(text)}"
        raise ConfigError(msg)
    return AlertLevel(size=found, severity=severity)
