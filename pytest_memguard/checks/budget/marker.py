"""The marker of a budget: its arguments, checked and read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, get_args

from pytest_memguard.errors import ConfigError, quoted
from pytest_memguard.model.measurements import Budget, BudgetPhase, Threads
from pytest_memguard.model.metrics import METRICS, RSS, metric_named
from pytest_memguard.units import parse_count, parse_share, parse_size

MARKER: Final = "mem_budget"
SIGNATURE: Final = (
    "mem_budget(limit, *, metric='rss', phase='call', stage=None, warn=None, threads='all', "
    "hard=None)"
)


def budget_from_mark(
    args: tuple[object, ...],
    kwargs: Mapping[str, object],
    params: Mapping[str, object] | None,
    where: str,
    *,
    hard: bool = False,
) -> Budget:
    """Turn a marker's arguments into a budget.

    Args:
        args: positional ones; the limit.
        kwargs: named ones.
        params: the test's parameters, for a limit that is a function of them.
        where: the budget's source, for messages.
        hard: whether budgets on resident memory are hard ones, unless the marker says it.

    Raises:
        ConfigError: with a sentence for every argument that makes no sense.
    """
    named = dict(kwargs)
    problems: list[str] = []
    in_metric: list[str] = []
    metric = metric_named(
        _choice("metric", named.pop("metric", RSS.name), tuple(METRICS), in_metric)
    )
    limit = 0
    if len(args) + ("limit" in named) != 1:
        problems.append(f"it takes one limit: {SIGNATURE}")
        named.pop("limit", None)
    else:
        try:
            value = _called(args[0] if args else named.pop("limit"), params)
            is_size = metric.is_memory
            limit = parse_size(value) if is_size else parse_count(value, metric.unit)
        except ConfigError as error:
            problems += error.problems
    problems += in_metric
    in_a_phase = "phase" in named
    phase = _choice("phase", named.pop("phase", "call"), get_args(BudgetPhase), problems)
    threads = _choice("threads", named.pop("threads", "all"), get_args(Threads), problems)
    if threads == "current" and not metric.by_thread:
        problems.append("threads='current' needs metric='heap': no other metric knows threads")
    stage = named.pop("stage", None)
    if stage is not None and not (isinstance(stage, str) and stage.strip()):
        problems.append(f"stage {quoted(stage)} is not the name of a stage")
        stage = None
    if stage is not None and in_a_phase:
        problems.append("stage goes without phase: its budget holds in whatever phase it runs")
    warn = None
    try:
        warn = parse_share(named.pop("warn", None))
    except ConfigError as error:
        problems += [f"warn: {problem}" for problem in error.problems]
    is_hard = named.pop("hard", None)
    if is_hard is not None and not isinstance(is_hard, bool):
        problems.append(f"hard {quoted(is_hard)} is neither True nor False")
    elif is_hard and not metric.is_resident:
        problems.append("hard=True needs metric='rss': no other metric can stop a test")
    problems += [f"it has no argument {name!r}: {SIGNATURE}" for name in named]
    if problems:
        raise ConfigError(*problems)
    return Budget(
        limit=limit,
        where=where,
        metric=metric.name,
        phase=phase,
        stage=stage,
        warn=warn,
        threads=threads,
        hard=metric.is_resident and (hard if is_hard is None else bool(is_hard)),
    )


def _choice(name: str, value: object, allowed: tuple[str, ...], problems: list[str]) -> Any:
    if isinstance(value, str) and value in allowed:
        return value
    problems.append(f"{name} {quoted(value)} is not one of {', '.join(allowed)}")
    return allowed[0]


def _called(limit: object, params: Mapping[str, object] | None) -> object:
    if not callable(limit):
        return limit
    if params is None:
        msg = "a limit that is a function needs a parametrised test, whose parameters it gets"
        raise ConfigError(msg)
    try:
        return limit(dict(params))
    except (KeyboardInterrupt, SystemExit, GeneratorExit):
        raise
    except BaseException as error:
        # pytest's skip and fail are no Exception: a limit cannot decide about the test
        msg = f"the function for the limit raised {type(error).__name__}: {error}"
        raise ConfigError(msg) from error
