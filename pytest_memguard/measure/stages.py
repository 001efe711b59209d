"""Named stages of a test, as its author writes them: nested, as a block or a decorator."""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable
from contextvars import ContextVar
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast

from pytest_memguard.errors import ConfigError
from pytest_memguard.measure import stage_host
from pytest_memguard.model.measurements import Budget
from pytest_memguard.units import parse_size

if TYPE_CHECKING:
    from pytest_memguard.measure.stage_log import StageLog, StageRun

Function = TypeVar("Function", bound=Callable[..., Any])

_open: ContextVar[tuple[EnteredStage, ...]] = ContextVar("memguard_stages", default=())


class EnteredStage:
    """A stage that was entered; it has no log if no test is measured."""

    __slots__ = ("log", "name", "run")

    def __init__(self, name: str, log: StageLog | None, run: StageRun | None) -> None:
        self.name = name
        self.log = log
        self.run = run


class Host(Protocol):
    """Measures a test; it need not have a log before the first stage."""

    @property
    def wants_stages(self) -> bool:
        """Whether stages without a budget are measured too."""

    def stage_log(self) -> StageLog | None:
        """Return the log for stages; ``None`` if no test is running."""


class Stage:
    """A named stage, as a context manager or a decorator; see `stage`."""

    __slots__ = ("_budget", "_entered", "_host", "_name")

    def __init__(self, name: str, budget: Budget | None, host: Host | None = None) -> None:
        self._name = name
        self._budget = budget
        self._host = host
        self._entered: list[EnteredStage] = []

    def __enter__(self) -> None:
        host = self._host
        current: Host | None = stage_host.current
        if host is None and current is not None:
            host = current if self._budget is not None or current.wants_stages else None
        log = host.stage_log() if host is not None else None
        if log is None:
            self._entered.append(EnteredStage(self._name, None, None))
            return
        # what another test has left open is none of this one's
        outer = tuple(entry for entry in _open.get() if entry.log is log)
        path = "/".join([*(entry.name for entry in outer), self._name])
        entry = EnteredStage(self._name, log, log.enter(path, self._budget))
        self._entered.append(entry)
        _open.set((*outer, entry))

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if not self._entered:
            msg = f"stage {self._name!r} is left more often than it was entered"
            raise RuntimeError(msg)
        # one object may be used by several threads or tasks: leave the run of this one
        outer = _open.get()
        mine = (entry for entry in reversed(outer) if entry in self._entered)
        entry = next(mine, self._entered[-1])
        self._entered.remove(entry)
        if entry.log is not None and entry.run is not None and not sys.is_finalizing():
            entry.log.leave(entry.run)
            _open.set(tuple(other for other in outer if other is not entry))

    def __call__(self, function: Function) -> Function:
        """Decorate a function, a coroutine function or a generator function."""
        if inspect.isasyncgenfunction(function):
            msg = (
                f"a stage cannot decorate the asynchronous generator {function.__qualname__}: "
                "write 'with stage(...)' in its body"
            )
            raise ConfigError(msg)
        again = functools.partial(Stage, self._name, self._budget, self._host)
        return cast("Function", functools.wraps(function)(_wrapper(function, again)))


def _wrapper(function: Callable[..., Any], again: Callable[[], Stage]) -> Callable[..., Any]:
    if inspect.iscoroutinefunction(function):

        async def run_coroutine(*args: Any, **kwargs: Any) -> Any:
            with again():
                return await function(*args, **kwargs)

        return run_coroutine
    if inspect.isgeneratorfunction(function):

        def run_generator(*args: Any, **kwargs: Any) -> Any:
            with again():
                return (yield from function(*args, **kwargs))

        return run_generator

    def run(*args: Any, **kwargs: Any) -> Any:
        with again():
            return function(*args, **kwargs)

    return run


def stage(name: str, *, budget: object = None) -> Stage:
    """Name a part of a test, from any code, as a context manager or a decorator.

    If no test is being measured this does nothing, and costs next to nothing. Stages within
    stages are called ``load/parse``; several runs of a stage are added up.

    Args:
        name: what the report calls it.
        budget: a size; the test fails when the stage's peak RSS rises above it.

    Raises:
        ConfigError: if the name is empty or the budget is not a size.
    """
    return Stage(name, stage_budget(name, budget))


def stage_budget(name: str, budget: object) -> Budget | None:
    """Check a stage's arguments.

    Raises:
        ConfigError: if the name is empty or the budget is not a size.
    """
    if not str(name).strip() or not isinstance(name, str):
        msg = f"a stage needs a name, not {name!r}"
        raise ConfigError(msg)
    if budget is None:
        return None
    try:
        limit = parse_size(budget)
    except ConfigError as error:
        msg = f"stage {name!r}: budget {error}"
        raise ConfigError(msg) from None
    return Budget(limit=limit, stage=name, where=f"stage({name!r}, budget=...)")
