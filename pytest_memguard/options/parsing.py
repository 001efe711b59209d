"""Parses what the user writes for a setting: one parser for each option."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeVar

from pytest_memguard.errors import ConfigError, quoted
from pytest_memguard.option_table import (
    EXPLAIN,
    FLIGHT_RECORD,
    GITHUB,
    ISOLATE,
    LEAK_BLAME,
    LEAK_CHECK,
    MODES,
    PARALLEL_ORDER,
)
from pytest_memguard.sizes import MIB
from pytest_memguard.units import (
    MOST,
    as_number,
    is_whole,
    parse_bytes,
    parse_count,
    parse_share,
    parse_size,
)
from pytest_memguard.values import dataclass

if TYPE_CHECKING:
    from pytest_memguard.model.alerts import AlertLevel
    from pytest_memguard.model.baselines import FailRule
    from pytest_memguard.model.past_runs import HistoryLocation

Item = TypeVar("Item")

_TRUE: Final = frozenset({"1", "true", "yes", "on"})
_FALSE: Final = frozenset({"0", "false", "no", "off"})
AUTO: Final = -1
"""Stands for a size that limits of the system decide."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pattern:
    """One line of ``mem_budgets``: a pattern of tests, and their limit."""

    glob: str
    """`*` and `?` stay within a folder, `**` does not."""
    limit: int
    """Bytes; 0 removes the default budget."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """One file that a run is written to."""

    format: str
    """Name of the renderer."""
    path: str
    """The file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StopAt:
    """What a leak may use up before its check stops."""

    memory: int = 256 * MIB
    """Bytes."""
    files: int = 200
    """Descriptors, child processes or tasks."""
    threads: int = 50
    """Threads."""


def _switch(value: object) -> bool:
    if isinstance(value, bool):
        return value
    text = str(value).strip().lower() if isinstance(value, (int, str)) else "neither"
    if text in _TRUE:
        return True
    if text in _FALSE or not text:
        return False
    msg = f"{quoted(value)} is neither true nor false"
    raise ConfigError(msg)


def _count_of(what: str, least: int = 1) -> Callable[[object], int]:
    return partial(parse_count, what=what, least=least)


def _seconds(value: object) -> float:
    seconds = as_number(value)
    if seconds is None or not 0 < seconds <= MOST:
        msg = f"{quoted(value)} is not a number of seconds: write one above 0, {MOST} at most"
        raise ConfigError(msg)
    return seconds


def _stop_at(value: object) -> StopAt:
    if not isinstance(value, str):
        return StopAt(**dict([_stop(value)]))
    try:
        limits = [_stop(part.strip()) for part in value.split(",")]
    except ConfigError as error:
        msg = f"in {quoted(value)}, {error}"
        raise ConfigError(msg) from error
    numbers = dict(limits)
    if len(numbers) < len(limits):
        msg = f"{quoted(value)} limits one thing twice: write '256 MB, 200 files, 50 threads'"
        raise ConfigError(msg)
    return StopAt(**numbers)


def _stop(limit: object) -> tuple[str, int]:
    """Return one limit of ``mem_leak_stop_at``: the field of `StopAt`, and its value."""
    if isinstance(limit, str):
        for what in ("files", "threads"):
            if limit.endswith(what):
                return what, parse_count(limit.removesuffix(what).strip(), what)
    size = parse_size(limit)
    if not size:
        hint = "write a size above 0 ('256 MB')"
        msg = f"{quoted(limit)} would stop every leak check at once: {hint}"
        raise ConfigError(msg)
    return "memory", size


def _abort_at(value: object) -> int | None:
    """Return the bytes at which a run is stopped; -1: close to a limit, ``None``: never."""
    text = value.strip().lower() if isinstance(value, str) else value
    if text == "auto":
        return AUTO
    if text is False or text in {"off", "no", "false", "none"}:
        return None
    try:
        return parse_size(value) or None
    except ConfigError as error:
        msg = f"{error}; auto, or off"
        raise ConfigError(msg) from error


def _switch_or(choices: tuple[str, ...], on: str, off: str) -> Callable[[object], str]:
    """Return a parser of a switch that has a name for each of its positions.

    Args:
        choices: their names.
        on: what true means.
        off: what false means.
    """

    def parse(value: object) -> str:
        if value in choices:
            return str(value)
        try:
            return on if _switch(value) else off
        except ConfigError:
            msg = f"{quoted(value)} is not one of {', '.join(choices)}, true, false"
            raise ConfigError(msg) from None

    return parse


def _path(value: object) -> str:
    if not isinstance(value, str):
        msg = f"{quoted(value)} is not the path of a file: write it as a text"
        raise ConfigError(msg)
    if not value.strip():
        msg = "it is empty: write the path of a file"
        raise ConfigError(msg)
    if value.strip().lower() in _TRUE | _FALSE:
        remedy = f"write one (./{value.strip()}, if that is its name)"
        msg = f"{quoted(value)} is not the path of a file: {remedy}"
        raise ConfigError(msg)
    return value


def _location(value: object) -> HistoryLocation:
    from pytest_memguard.model.past_runs import HistoryLocation

    return HistoryLocation(text=_path(value).strip())


def _file(value: object) -> str | None:
    """Return the path of a file; an empty text is the one that ``mem_baseline`` names."""
    if isinstance(value, str) and not value.strip():
        msg = "it is empty: write the path of a file, or true for the one of mem_baseline"
        raise ConfigError(msg)
    try:
        return "" if _switch(value) else None
    except ConfigError:
        return _path(value)


def _parallel(value: object) -> int | str | None:
    """Return the bytes that tests may use together, "auto", or ``None`` if they do not wait."""
    if value == "auto":
        return "auto"
    if isinstance(value, bool) or (isinstance(value, str) and _is_switch(value)):
        return "auto" if _switch(value) else None
    return parse_size(value) or None


def _is_switch(text: str) -> bool:
    return not is_whole(text.strip()) and text.strip().lower() in _TRUE | _FALSE


def _one_of(*choices: str) -> Callable[[object], str]:
    def parse(value: object) -> str:
        if value not in choices:
            msg = f"{quoted(value)} is not one of {', '.join(choices)}"
            raise ConfigError(msg)
        return str(value)

    return parse


def _list_of(what: str, parse: Callable[[object], Item]) -> Callable[[object], Sequence[Item]]:
    """Return a parser of several values.

    Args:
        what: the values, for messages.
        parse: parses an entry of a list, or a line of a text. Comments and blank lines are
            ignored in a text only.
    """

    def parse_all(value: object) -> Sequence[Item]:
        entries = value
        if isinstance(value, str):
            lines = [line for line in value.splitlines() if line.strip()]
            entries = [line for line in lines if not is_comment(line)]
        if not isinstance(entries, (list, tuple)):
            msg = f"{quoted(value)} is not a list of {what}"
            raise ConfigError(msg)
        parsed: list[Item] = []
        problems: list[str] = []
        for entry in entries:
            try:
                parsed.append(parse(entry))
            except ConfigError as error:  # every problem is reported at once
                problems += error.problems
        if problems:
            raise ConfigError(*problems)
        return tuple(parsed)

    return parse_all


def _alerts(value: object) -> tuple[AlertLevel, ...]:
    """Return the levels of all lines of ``mem_alert``, the lowest first."""
    from pytest_memguard.options.alert_levels import LINE, in_order, parse_line

    return in_order(_list_of(f"lines '{LINE}'", parse_line)(value))


def is_comment(entry: object) -> bool:
    """Return whether a line of the config file is a comment."""
    return isinstance(entry, str) and entry.lstrip().startswith("#")


def _rule(text: object) -> FailRule:
    from pytest_memguard.options.rules import parse_rule

    return parse_rule(text, "")


def _node_pattern(text: object) -> str:
    from pytest_memguard.options.patterns import node_pattern

    return node_pattern(text)


def _name_pattern(text: object) -> str:
    from pytest_memguard.options.patterns import name_pattern

    return name_pattern(text)


def _budget_pattern(line: object) -> Pattern:
    glob, equals, size = line.rpartition("=") if isinstance(line, str) else ("", "", "")
    if not equals or not glob.strip():
        msg = f"{quoted(line)} is not a line 'PATTERN = SIZE'"
        raise ConfigError(msg)
    try:
        return Pattern(glob=_node_pattern(glob.strip()), limit=parse_size(size.strip()))
    except ConfigError as error:
        msg = f"in the line {quoted(line)}, {error}"
        raise ConfigError(msg) from error


def _output(value: object) -> Output:
    name, equals, path = value.partition("=") if isinstance(value, str) else ("", "", "")
    if not equals or not name.strip() or not path.strip():
        msg = f"{quoted(value)} is not FORMAT=PATH: write csv=memory.csv"
        raise ConfigError(msg)
    return Output(format=name.strip(), path=path.strip())


PARSERS: Final[Mapping[str, Callable[[object], Any]]] = {
    "off": _switch,
    "abort_at": _abort_at,
    "rerun_killed": _switch,
    "alert": _alerts,
    "mem": _switch,
    "top": _count_of("tests"),
    "growth": _count_of("tests"),
    "json": _path,
    "markdown": _path,
    "output": _list_of("lines FORMAT=PATH", _output),
    "gitlab": _path,
    "github": _one_of(*GITHUB),
    "budget": parse_size,
    "budgets": _list_of("lines 'PATTERN = SIZE'", _budget_pattern),
    "warn": parse_share,
    "mode": _one_of(*MODES),
    "hard": _switch,
    "explain": _one_of(*EXPLAIN),
    "tracker_share": partial(parse_share, of="the run's time"),
    "drill": _switch,
    "leak_check": _switch_or(LEAK_CHECK, "all", "marked"),
    "leak_strict": _switch,
    "leak_accept": _switch,
    "leak_blame": _one_of(*LEAK_BLAME),
    "leak_tolerance": parse_bytes,
    "leak_ignore": _list_of("patterns", _name_pattern),
    "leak_calls": _count_of("calls"),
    "leak_seconds": _seconds,
    "leak_stop_at": _stop_at,
    "history": _location,
    "save": _file,
    "compare": _file,
    "baseline": _path,
    "fail_on": _list_of("rules", _rule),
    "confirm": _count_of("measurements", 0),
    "confirm_share": partial(parse_share, of="the run's time"),
    "accept": _list_of("patterns", _node_pattern),
    "prune": _switch,
    "strict": _switch,
    "isolate": _switch_or(ISOLATE, "test", "off"),
    "flight_record": _switch_or(FLIGHT_RECORD, "on", "off"),
    "parallel": _parallel,
    "parallel_order": _one_of(*PARALLEL_ORDER),
}
"""The parser of each option, by the option's name."""
