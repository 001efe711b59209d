"""The settings of ``memguard watch``, from the command line and from a file."""

from __future__ import annotations

import argparse
import configparser
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from pytest_memguard.errors import ConfigError, quoted
from pytest_memguard.judge.watch_thresholds import Threshold, parse_duration, parse_thresholds
from pytest_memguard.storage.files import read_text
from pytest_memguard.units import parse_count, parse_size
from pytest_memguard.values import dataclass
from pytest_memguard.watch_levels import NODE_SIGNALS
from pytest_memguard.watches import SEVERITIES

SECTION: Final = "watch"
DEFAULT_FOLDER: Final = ".memguard/watch"
"""Folder of what is written if `--output` names none."""
_LEAST_INTERVAL: Final = 0.01
_LEAST_LIMIT: Final = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchSettings:
    """What the user has set."""

    interval: float = 1.0
    """Seconds between two samples."""
    duration: float = 0.0
    """Seconds after which the watch ends; 0 if it ends with the program."""
    warm_up: float | None = None
    """Seconds that are left out of the verdict."""
    children: bool = True
    """Whether descendants count."""
    thresholds: tuple[Threshold, ...] = ()
    """Thresholds of all severities."""
    kill: bool = False
    """Whether a critical threshold ends the program."""
    restart: int = 0
    """How often a command is started again."""
    limit: int = 0
    """Bytes that the processes of a command may use together; 0 means any number."""
    output: str = ""
    """Folder of the files; empty if none are written."""
    history: str = ""
    """Where the history is; empty if it is not written."""
    against: str = ""
    """File with an earlier recording; empty if there is none."""
    strict: bool = False
    """Whether an undecided verdict ends with status 1."""
    node: bool = False
    """Whether Node.js programs report their memory."""
    heap_snapshots: bool = False
    """Whether two heap snapshots are written of a Node.js program that grows."""


def resolve(options: argparse.Namespace) -> WatchSettings:
    """Return the settings; the command line beats the file.

    Args:
        options: the command line; what it does not set is ``None``.

    Raises:
        ConfigError: if something makes no sense.
    """
    values: dict[str, tuple[Any, str]] = {}
    if options.config is not None:
        values = {
            key: (value, f"{options.config}: {key}") for key, value in _file(options.config)
        }
    for key in (*_PARSERS, *SEVERITIES):
        given = getattr(options, key, None)
        if given is not None:
            values[key] = (given, f"--{key.replace('_', '-')}")
    parsed = {key: _PARSERS[key](*value) for key, value in values.items() if key in _PARSERS}
    thresholds = [
        threshold
        for severity in SEVERITIES
        if severity in values
        for text in _texts(*values[severity])
        for threshold in parse_thresholds(text, severity, values[severity][1])
    ]
    settings = WatchSettings(thresholds=tuple(thresholds), **parsed)
    _check_node(settings)
    return settings


def _check_node(settings: WatchSettings) -> None:
    if settings.node:
        return
    if settings.heap_snapshots:
        msg = "--heap-snapshots are of Node.js programs: add --node"
        raise ConfigError(msg)
    for threshold in settings.thresholds:
        if threshold.signal in NODE_SIGNALS:
            msg = f"{threshold.text}: only Node.js programs report this: add --node"
            raise ConfigError(msg)


def check_process(settings: WatchSettings) -> None:
    """Check that nothing is set which makes sense for a command only.

    Raises:
        ConfigError: if there is.
    """
    for name, value in (
        ("--restart", settings.restart),
        ("--limit", settings.limit),
        ("--node", settings.node),
    ):
        if value:
            msg = f"{name} is for a command that is started: memguard watch -- COMMAND"
            raise ConfigError(msg)


def _file(name: str) -> list[tuple[str, Any]]:
    """Return the settings in a file, TOML or ini by its name.

    Raises:
        ConfigError: if it cannot be read, or has other settings.
    """
    try:
        text = read_text(Path(name))
        found = _toml(text) if name.endswith(".toml") else _ini(text)
    except OSError as error:
        msg = f"{name} cannot be read: {error.strerror}"
        raise ConfigError(msg) from error
    except (ValueError, configparser.Error) as error:
        msg = f"{name} cannot be parsed: {' '.join(str(error).split())}"
        raise ConfigError(msg) from error
    known = {*_PARSERS, *SEVERITIES}
    unknown = [key for key in found if key.replace("-", "_") not in known]
    if unknown:
        msg = (
            f"{name}: [{SECTION}] has unknown settings {', '.join(unknown)}; "
            f"there are {', '.join(sorted(known))}"
        )
        raise ConfigError(msg)
    return [(key.replace("-", "_"), value) for key, value in found.items()]


def _toml(text: str) -> Mapping[str, Any]:
    found = tomllib.loads(text).get(SECTION)
    if not isinstance(found, Mapping):
        msg = f"there is no table [{SECTION}]"
        raise ConfigError(msg)
    return found


def _ini(text: str) -> Mapping[str, Any]:
    parser = configparser.ConfigParser(interpolation=None)
    parser.read_string(text)
    if not parser.has_section(SECTION):
        msg = f"there is no section [{SECTION}]"
        raise ConfigError(msg)
    return dict(parser.items(SECTION))


def _texts(value: Any, what: str) -> list[str]:
    """Return lists of thresholds; a table of TOML has one for each signal."""
    if isinstance(value, Mapping):
        return [f"{signal}={limit}" for signal, limit in value.items()]
    if isinstance(value, str):
        return [value]
    if isinstance(value, list):
        return [str(one) for one in value]
    msg = f"{what}: {quoted(value)} is not a list of thresholds"
    raise ConfigError(msg)


def _interval(value: Any, what: str) -> float:
    return parse_duration(value, what, _LEAST_INTERVAL)


def _switch(value: Any, what: str) -> bool:
    if isinstance(value, bool):
        return value
    states = configparser.ConfigParser.BOOLEAN_STATES
    if isinstance(value, str) and value.lower() in states:
        return states[value.lower()]
    msg = f"{what}: {quoted(value)} is neither true nor false"
    raise ConfigError(msg)


def _named(parse: Callable[[Any], int]) -> Callable[[Any, str], int]:
    def parse_named(value: Any, what: str) -> int:
        try:
            return parse(value)
        except ConfigError as error:
            msg = f"{what}: {error}"
            raise ConfigError(msg) from None

    return parse_named


def _limit(value: Any) -> int:
    size = parse_size(value)
    if size < _LEAST_LIMIT:
        msg = f"{quoted(value)} is too little for any program: write 1 MiB or more"
        raise ConfigError(msg)
    return size


def _text(value: Any, what: str) -> str:
    if not isinstance(value, str) or not value:
        msg = f"{what}: {quoted(value)} is not a path"
        raise ConfigError(msg)
    return value


_PARSERS: Final[dict[str, Callable[[Any, str], Any]]] = {
    "interval": _interval,
    "duration": _interval,
    "warm_up": parse_duration,
    "children": _switch,
    "kill": _switch,
    "restart": _named(lambda value: parse_count(value, "restarts")),
    "limit": _named(_limit),
    "output": _text,
    "history": _text,
    "against": _text,
    "strict": _switch,
    "node": _switch,
    "heap_snapshots": _switch,
}
