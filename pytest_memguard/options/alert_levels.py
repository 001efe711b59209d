"""Parses the levels that are reported, as people write them in ``mem_alert``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from pytest_memguard.errors import ConfigError, quoted
from pytest_memguard.model.alerts import (
    ALERT_SIGNALS,
    COUNTED,
    SEVERITIES,
    AlertLevel,
    AlertSignal,
)
from pytest_memguard.units import parse_count, parse_size

LINE: Final = "worker rss = 1GB warning, 4GB critical"
"""An example of a line."""


def parse_line(line: object) -> tuple[AlertLevel, ...]:
    """Return the levels of a line.

    Args:
        line: as in `LINE`.

    Raises:
        ConfigError: if it makes no sense.
    """
    name, equals, text = line.partition("=") if isinstance(line, str) else ("", "", "")
    words = " ".join(name.split())
    signal = next((one for one in ALERT_SIGNALS if one == words), None)
    if not equals or signal is None:
        msg = f"{quoted(line)} is not a line '{LINE}'"
        if equals:
            msg += f"; there are levels of {', '.join(ALERT_SIGNALS)}"
        raise ConfigError(msg)
    return tuple(_level(signal, part.strip(), line) for part in text.split(","))


def in_order(lines: Sequence[Sequence[AlertLevel]]) -> tuple[AlertLevel, ...]:
    """Return the levels of all lines, signal by signal, the lowest first.

    Args:
        lines: their levels.

    Raises:
        ConfigError: if a milder level is above a worse one, or one stands twice.
    """
    levels = [level for line in lines for level in line]
    return tuple(level for signal in ALERT_SIGNALS for level in _in_order(signal, levels))


def _in_order(signal: AlertSignal, all_levels: Sequence[AlertLevel]) -> list[AlertLevel]:
    ours = (level for level in all_levels if level.signal == signal)
    levels = sorted(ours, key=lambda one: one.size)
    weights = [SEVERITIES.index(level.severity) for level in levels]
    sizes = {level.size for level in levels}
    if weights != sorted(set(weights)) or len(sizes) < len(levels):
        order = ", ".join(SEVERITIES)
        msg = (
            f"of {signal}, each of {order} may stand once, and each needs a larger size than "
            "the one before"
        )
        raise ConfigError(msg)
    return levels


def _level(signal: AlertSignal, text: str, line: object) -> AlertLevel:
    size, _, word = text.rpartition(" ")
    severity = next((one for one in SEVERITIES if one == word), None)
    if severity is None:
        msg = f"in {quoted(line)}, {quoted(text)} does not end in {', '.join(SEVERITIES)}"
        raise ConfigError(msg)
    try:
        unit = COUNTED.get(signal)
        found = parse_size(size) if unit is None else parse_count(size, unit, least=0)
    except ConfigError as error:
        msg = f"in {quoted(line)}, {error}"
        raise ConfigError(msg) from error
    if not found:
        msg = f"in {quoted(line)}, every process reaches {quoted(text)}"
        raise ConfigError(msg)
    return AlertLevel(signal=signal, size=found, severity=severity)
