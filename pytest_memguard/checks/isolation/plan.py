"""Which tests run in a process of their own, and what it may use: from option and markers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from pytest_memguard.checks.protocol import MarkedTest
from pytest_memguard.errors import ConfigError, quoted
from pytest_memguard.option_table import ISOLATE
from pytest_memguard.units import MOST, as_number, parse_size
from pytest_memguard.values import dataclass

MARKER: Final = "mem_isolate"
SIGNATURE: Final = "mem_isolate(limit=None, timeout=None)"


@dataclass(frozen=True, slots=True, kw_only=True)
class IsolationPlan:
    """How one test is isolated."""

    alone: bool = True
    """Whether its process runs no other test."""
    limit: int = 0
    """The most bytes that it may use above its start; 0 for any number."""
    timeout: float = 0.0
    """The most seconds that it may take; 0 for any number."""
    where: str = ""
    """Who set limit and timeout, for messages."""


_OF_TEST: Final = IsolationPlan()
_OF_MODULE: Final = IsolationPlan(alone=False)


class IsolationPlanner:
    """Finds how each test is isolated.

    Args:
        scope: what the option says: one of `ISOLATE`.
    """

    def __init__(self, scope: str) -> None:
        test, module, off = ISOLATE
        self._default = {test: _OF_TEST, module: _OF_MODULE, off: None}[scope]
        self._marks: dict[int, tuple[Any, IsolationPlan | None]] = {}

    def plan(self, test: MarkedTest, problems: list[str]) -> IsolationPlan | None:
        """How a test is isolated; ``None`` if neither the option nor a marker asks for it.

        Args:
            test: with its markers.
            problems: takes a line for everything that is wrong with them.
        """
        markers = test.marked(MARKER)
        if not markers:
            return self._default
        marker = markers[0]  # the closest one
        mark = marker.mark
        known = self._marks.get(id(mark))
        if known is not None and known[0] is mark:
            return known[1]
        plan: IsolationPlan | None = None
        try:
            plan = plan_from_mark(mark.args, mark.kwargs, marker.where)
        except ConfigError as error:
            problems += test.problem_lines(marker, error.problems)
        self._marks[id(mark)] = (mark, plan)
        return plan


def plan_from_mark(
    args: tuple[object, ...], kwargs: Mapping[str, object], where: str
) -> IsolationPlan:
    """Turn a marker's arguments into a plan.

    Args:
        args: positional ones: the limit, then the timeout.
        kwargs: named ones.
        where: who set them, for messages.

    Raises:
        ConfigError: with a sentence for every argument that makes no sense.
    """
    names = ("limit", "timeout")
    problems: list[str] = []
    if len(args) > len(names):
        problems.append(f"it takes {len(names)} arguments: {SIGNATURE}")
    named = dict(zip(names, args, strict=False))
    problems += [f"it has no argument {name!r}: {SIGNATURE}" for name in kwargs.keys() - names]
    problems += [
        f"{name} is given twice: {SIGNATURE}" for name in names if name in named & kwargs.keys()
    ]
    named |= {name: value for name, value in kwargs.items() if name in names}
    limit, timeout = 0, 0.0
    if named.get("limit") is not None:
        try:
            limit = parse_size(named["limit"])
            if not limit:
                problems.append("a limit of 0 would stop every test: write a size above 0")
        except ConfigError as error:
            problems += error.problems
    if named.get("timeout") is not None:
        seconds = as_number(named["timeout"])
        if seconds is None or not 0 < seconds <= MOST:
            problems.append(
                f"timeout {quoted(named['timeout'])} is not a number of seconds above 0"
            )
        else:
            timeout = seconds
    if problems:
        raise ConfigError(*problems)
    return IsolationPlan(limit=limit, timeout=timeout, where=where)
