"""Every setting of a run, decided: what the user wrote, parsed, and which source wins."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import field, replace
from math import inf
from typing import TYPE_CHECKING, Any

from pytest_memguard.errors import ConfigError
from pytest_memguard.model import Budget
from pytest_memguard.option_table import (
    BASELINE,
    EXPLAIN,
    GITHUB,
    LEAK_BLAME,
    LEAK_CHECK,
    MODES,
)
from pytest_memguard.units import MIB, parse_bytes, parse_share, parse_size
from pytest_memguard.values import dataclass

if TYPE_CHECKING:
    from pytest_memguard.baselines import FailRule
    from pytest_memguard.history import HistoryPlace


@dataclass(frozen=True, slots=True, kw_only=True)
class Pattern:
    """One line of ``mem_budgets``: tests by node id or path, and their limit."""

    glob: str
    """`*` and `?` stay within a folder, `**` does not."""
    limit: int
    """Bytes; 0 switches the default off."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Every setting of a run, decided."""

    off: bool = False
    mem: bool = False
    top: int = 10
    json: str | None = None
    markdown: str | None = None
    gitlab: str | None = None
    github: str = "auto"
    budget: int = 0
    budgets: tuple[Pattern, ...] = ()
    warn: float | None = None
    mode: str = "fail"
    explain: str = "next"
    drill: bool = False
    leak_check: str = "marked"
    leak_strict: bool = False
    leak_accept: bool = False
    leak_blame: str = "here"
    leak_tolerance: int = 0
    leak_ignore: tuple[str, ...] = ()
    leak_calls: int = 2000
    leak_seconds: float = 20.0
    leak_memory: int = 256 * MIB
    leak_files: int = 200
    leak_threads: int = 50
    history: HistoryPlace | None = None
    save: str | None = None
    compare: str | None = None
    baseline: str = BASELINE
    fail_on: tuple[FailRule, ...] = ()
    confirm: int = 0
    accept: tuple[str, ...] = ()
    prune: bool = False
    strict: bool = False
    sources: Mapping[str, str] = field(default_factory=dict)
    """Which source each setting that is not a default came from."""

    @property
    def asked_for(self) -> bool:
        """Whether any setting wants something done, markers and fixtures aside."""
        wants = self.measures_all or self.drill or bool(self.budget or self.budgets)
        wants = wants or self.gitlab is not None or self.leak_check == "all"
        return wants and not self.off

    @property
    def measures_all(self) -> bool:
        """Whether the numbers of every test are kept, not only of those with findings."""
        told = self.mem or self.json or self.markdown or self.history
        return bool(told) or self.has_baseline

    @property
    def compares(self) -> bool:
        """Whether tests are compared with a baseline."""
        return self.compare is not None or bool(self.accept)

    @property
    def has_baseline(self) -> bool:
        """Whether the run has to do with a baseline at all."""
        return self.compares or self.saves

    @property
    def saves(self) -> bool:
        """Whether the numbers of the run go into a baseline."""
        return self.save is not None

    def where(self, name: str) -> str:
        """The source of a setting, for a message."""
        return self.sources.get(name, "the default")


def _switch(value: object) -> bool:
    if isinstance(value, bool):
        return value
    text = str(value).strip().lower()
    if text in {"1", "true", "yes", "on"}:
        return True
    if text in {"0", "false", "no", "off", ""}:
        return False
    msg = f"{value!r} is neither true nor false"
    raise ConfigError(msg)


def _count_of(what: str) -> Callable[[object], int]:
    def parse(value: object) -> int:
        text = str(value).strip()
        if not text.isdecimal() or int(text) < 1:
            msg = f"{value!r} is not a number of {what}: write a whole number from 1"
            raise ConfigError(msg)
        return int(text)

    return parse


def _seconds(value: object) -> float:
    try:
        seconds = float(str(value))
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < inf:
        msg = f"{value!r} is not a number of seconds above 0"
        raise ConfigError(msg)
    return seconds


def _leak_check(value: object) -> str:
    if value in LEAK_CHECK:
        return str(value)
    try:
        return "all" if _switch(value) else "marked"
    except ConfigError:
        msg = f"{value!r} is not one of {', '.join(LEAK_CHECK)}, true, false"
        raise ConfigError(msg) from None


def _lines(lines: object) -> tuple[str, ...]:
    if isinstance(lines, str):
        lines = lines.splitlines()
    if not isinstance(lines, (list, tuple)):
        msg = f"{lines!r} is not a list of lines"
        raise ConfigError(msg)
    kept = (str(line).strip() for line in lines)
    return tuple(line for line in kept if line and not line.startswith("#"))


def _text(value: object) -> str:
    if not str(value).strip():
        msg = "it is empty: write the path of a file"
        raise ConfigError(msg)
    return str(value)


def _place(value: object) -> HistoryPlace:
    from pytest_memguard.history import HistoryPlace

    return HistoryPlace(text=_text(value).strip())


def _file(value: object) -> str | None:
    """A file; an empty text is the one that ``mem_baseline`` names."""
    try:
        return "" if _switch(value or "true") else None
    except ConfigError:
        return str(value)


def _times(value: object) -> int:
    text = str(value).strip()
    if not text.isdecimal():
        msg = f"{value!r} is not a number of measurements: write a whole number from 0"
        raise ConfigError(msg)
    return int(text)


def _rules(lines: object) -> tuple[FailRule, ...]:
    from pytest_memguard.rules import parse_rules

    return parse_rules(_lines(lines), "")


def _one_of(*choices: str) -> Callable[[object], str]:
    def parse(value: object) -> str:
        if value not in choices:
            msg = f"{value!r} is not one of {', '.join(choices)}"
            raise ConfigError(msg)
        return str(value)

    return parse


def _patterns(lines: object) -> tuple[Pattern, ...]:
    if isinstance(lines, str):
        lines = lines.splitlines()
    if not isinstance(lines, (list, tuple)):
        msg = f"{lines!r} is not a list of lines 'PATTERN = SIZE'"
        raise ConfigError(msg)
    patterns, problems = [], []
    for line in lines:
        if not str(line).strip() or str(line).lstrip().startswith("#"):
            continue
        glob, equals, size = str(line).rpartition("=")
        try:
            if not equals or not glob.strip():
                problems.append(f"{line!r} is not a line 'PATTERN = SIZE'")
            else:
                patterns.append(Pattern(glob=glob.strip(), limit=parse_size(size.strip())))
        except ConfigError as error:
            problems.append(f"in the line {line!r}, {error}")
    if problems:
        raise ConfigError(*problems)
    return tuple(patterns)


_PARSERS: Mapping[str, Callable[[object], Any]] = {
    "off": _switch,
    "mem": _switch,
    "top": _count_of("tests"),
    "json": _text,
    "markdown": _text,
    "gitlab": _text,
    "github": _one_of(*GITHUB),
    "budget": parse_size,
    "budgets": _patterns,
    "warn": parse_share,
    "mode": _one_of(*MODES),
    "explain": _one_of(*EXPLAIN),
    "drill": _switch,
    "leak_check": _leak_check,
    "leak_strict": _switch,
    "leak_accept": _switch,
    "leak_blame": _one_of(*LEAK_BLAME),
    "leak_tolerance": parse_bytes,
    "leak_ignore": _lines,
    "leak_calls": _count_of("calls"),
    "leak_seconds": _seconds,
    "leak_memory": parse_size,
    "leak_files": _count_of("files"),
    "leak_threads": _count_of("threads"),
    "history": _place,
    "save": _file,
    "compare": _file,
    "baseline": _text,
    "fail_on": _rules,
    "confirm": _times,
    "accept": _lines,
    "prune": _switch,
    "strict": _switch,
}
# What does nothing without another setting, where it is given on the command line.
_NEEDS: Mapping[str, tuple[str, str]] = {
    "fail_on": ("compares", "--mem-compare"),
    "confirm": ("has_baseline", "--mem-compare or --mem-save"),
    "strict": ("compares", "--mem-compare"),
    "prune": ("saves", "--mem-save"),
}


def resolve(given: Mapping[str, tuple[object, str]]) -> Settings:
    """Decide every setting.

    Args:
        given: what the user wrote and where, by option name; the command line has gone
            before the config file already.

    Raises:
        ConfigError: with a sentence for every value that makes no sense.
    """
    values: dict[str, Any] = {}
    problems: list[str] = []
    for name, (value, source) in given.items():
        try:
            values[name] = _PARSERS[name](value)
        except ConfigError as error:  # noqa: PERF203  every problem is told at once
            problems += [f"{source}: {problem}" for problem in error.problems]
    if problems:
        raise ConfigError(*problems)
    settings = Settings(sources={name: source for name, (_, source) in given.items()}, **values)
    problems = [
        f"{settings.where(name)}: it does nothing without {flag}"
        for name, (needed, flag) in _NEEDS.items()
        if settings.where(name).startswith("--")
        and getattr(settings, name)
        and not getattr(settings, needed)
    ]
    if problems:
        raise ConfigError(*problems)
    rules = tuple(replace(r, where=settings.where("fail_on")) for r in settings.fail_on)
    return replace(
        settings,
        save=settings.baseline if settings.save == "" else settings.save,
        compare=settings.baseline if settings.compare == "" else settings.compare,
        fail_on=rules,
    )


def default_budgets(settings: Settings) -> Sequence[Budget]:
    """The budget every test starts from; none where no default is set."""
    if not settings.budget:
        return ()
    return (Budget(limit=settings.budget, where=settings.where("budget"), warn=settings.warn),)
