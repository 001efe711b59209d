"""Which tests the leak check is for, and how far it goes: from markers and settings."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from pytest_memguard.checks.protocol import MarkedTest
from pytest_memguard.errors import ConfigError, quoted
from pytest_memguard.options.patterns import name_pattern
from pytest_memguard.options.settings import Settings
from pytest_memguard.recording.limits import Limits
from pytest_memguard.units import MOST, parse_bytes
from pytest_memguard.values import dataclass

CHECK: Final = "mem_leak_check"
NO_CHECK: Final = "mem_no_leak_check"
ONCE: Final = "mem_once"
CHECK_SIGNATURE: Final = (
    "mem_leak_check(calls=None, warmup=None, tolerance=0, ignore=(), resources=True)"
)
NO_CHECK_SIGNATURE: Final = "mem_no_leak_check(reason)"
_MUST_NOT_RUN_AGAIN: Final = f"it must not run twice ({ONCE})"


@dataclass(frozen=True, slots=True, kw_only=True)
class LeakPlan:
    """How to check one test."""

    limits: Limits
    """How far to go."""
    tolerance: int = 0
    """Bytes a call may leave behind."""
    ignore: tuple[str, ...] = ()
    """The marker's own patterns of leaks that do not fail."""
    resources: bool = True
    """Whether descriptors, threads, children and tasks count."""
    skipped: str = ""
    """Why the test is left out; empty if it is checked."""


class LeakPlanner:
    """Finds each test's leak plan.

    Args:
        settings: the settings of the run.
    """

    def __init__(self, settings: Settings) -> None:
        self._all = settings.leak_check == "all"
        self._limits = Limits(
            calls=settings.leak_calls,
            seconds=settings.leak_seconds,
            memory=settings.leak_stop_at.memory,
            files=settings.leak_stop_at.files,
            threads=settings.leak_stop_at.threads,
        )
        self.defaults = LeakPlan(limits=self._limits, tolerance=settings.leak_tolerance)
        self._marks: dict[int, tuple[Any, LeakPlan | None]] = {}

    def plan(self, test: MarkedTest, problems: list[str]) -> LeakPlan | None:
        """The plan of one test, or ``None`` if no option and no marker asks for a check.

        Args:
            test: with its markers.
            problems: takes a line for everything that is wrong with them.
        """
        base = self.defaults
        markers = [*test.marked(CHECK), *test.marked(NO_CHECK)]
        if test.marked(ONCE) and (markers or self._all):
            return replace(base, skipped=_MUST_NOT_RUN_AGAIN)
        if not markers:
            return base if self._all else None
        # the closest marker decides, of whichever kind; on the same node, leaving out does
        marker = max(markers, key=lambda one: (test.depth(one), one.mark.name == NO_CHECK))
        mark = marker.mark
        known = self._marks.get(id(mark))
        if known is not None and known[0] is mark:
            return known[1]
        plan: LeakPlan | None = None
        try:
            if mark.name == NO_CHECK:
                plan = replace(base, skipped=_reason(mark))
            else:
                plan = _from_mark(mark, base)
        except ConfigError as error:
            problems += test.problem_lines(marker, error.problems)
        self._marks[id(mark)] = (mark, plan)
        return plan


def _reason(mark: Any) -> str:
    named = dict(mark.kwargs)
    reason = mark.args[0] if mark.args else named.pop("reason", None)
    if len(mark.args) > 1 or named or not (isinstance(reason, str) and reason.strip()):
        msg = f"it takes one reason, a text: {NO_CHECK_SIGNATURE}"
        raise ConfigError(msg)
    return reason


def _from_mark(mark: Any, base: LeakPlan) -> LeakPlan:
    """Turn the marker's arguments into a plan.

    Raises:
        ConfigError: with a sentence for every argument that makes no sense.
    """
    named: dict[str, Any] = dict(mark.kwargs)
    problems: list[str] = []
    if mark.args:
        problems.append(f"its arguments are named: {CHECK_SIGNATURE}")
    asked = named.get("calls") is not None
    calls = _whole(named, "calls", base.limits.calls, 1, problems)
    least = calls if asked else base.limits.least
    warmup = _whole(named, "warmup", base.limits.warmup, 0, problems)
    if {"calls", "warmup"} <= mark.kwargs.keys() and not problems and warmup >= calls:
        problems.append(f"warmup {warmup} leaves none of {calls} calls to look for a leak in")
    tolerance = base.tolerance
    try:
        if "tolerance" in named:
            tolerance = parse_bytes(named.pop("tolerance"))
    except ConfigError as error:
        problems += [f"tolerance: {problem}" for problem in error.problems]
    ignore = _patterns(named.pop("ignore", ()), problems)
    resources = named.pop("resources", True)
    if not isinstance(resources, bool):
        problems.append(f"resources {quoted(resources)} is neither True nor False")
    problems += [f"it has no argument {name!r}: {CHECK_SIGNATURE}" for name in named]
    if problems:
        raise ConfigError(*problems)
    return replace(
        base,
        limits=replace(base.limits, calls=calls, least=least, warmup=warmup),
        tolerance=tolerance,
        ignore=ignore,
        resources=resources,
    )


def _patterns(written: object, problems: list[str]) -> tuple[str, ...]:
    patterns: list[str] = []
    for pattern in written if isinstance(written, (tuple, list)) else (written,):
        try:
            patterns.append(name_pattern(pattern))
        except ConfigError as error:  # every problem is reported at once
            problems += [f"ignore: {problem}" for problem in error.problems]
    return tuple(patterns)


def _whole(
    named: dict[str, Any], name: str, default: int, least: int, problems: list[str]
) -> int:
    value = named.pop(name, None)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        problems.append(f"{name} {quoted(value)} is not a whole number from {least}")
        return default
    if value > MOST:
        problems.append(f"{name} {quoted(value)} is not a whole number from {least} to {MOST}")
        return default
    return value
