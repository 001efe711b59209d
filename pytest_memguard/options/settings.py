"""The settings of a run: what the user wrote, parsed, and which source overrides which."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field, replace
from typing import TYPE_CHECKING, Any

from pytest_memguard.errors import ConfigError
from pytest_memguard.model.measurements import Budget
from pytest_memguard.option_table import BASELINE
from pytest_memguard.options.parsing import PARSERS, Output, Pattern, StopAt
from pytest_memguard.values import dataclass

if TYPE_CHECKING:
    from pytest_memguard.model.alerts import AlertLevel
    from pytest_memguard.model.baselines import FailRule
    from pytest_memguard.model.past_runs import HistoryLocation


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The settings of a run."""

    off: bool = False
    mem: bool = False
    top: int = 10
    growth: int = 0
    json: str | None = None
    markdown: str | None = None
    output: tuple[Output, ...] = ()
    gitlab: str | None = None
    github: str = "auto"
    budget: int = 0
    budgets: tuple[Pattern, ...] = ()
    warn: float | None = None
    mode: str = "fail"
    hard: bool = False
    explain: str = "next"
    tracker_share: float | None = 0.05
    drill: bool = False
    leak_check: str = "marked"
    leak_strict: bool = False
    leak_accept: bool = False
    leak_blame: str = "here"
    leak_tolerance: int = 0
    leak_ignore: tuple[str, ...] = ()
    leak_calls: int = 2000
    leak_seconds: float = 20.0
    leak_stop_at: StopAt = StopAt()
    history: HistoryLocation | None = None
    save: str | None = None
    compare: str | None = None
    baseline: str = BASELINE
    fail_on: tuple[FailRule, ...] = ()
    confirm: int = 1
    confirm_share: float | None = 0.5
    accept: tuple[str, ...] = ()
    prune: bool = False
    strict: bool = False
    flight_record: str = "workers"
    abort_at: int | None = None
    rerun_killed: bool = False
    alert: tuple[AlertLevel, ...] = ()
    isolate: str = "off"
    parallel: int | str | None = None
    parallel_order: str = "collected"
    sources: Mapping[str, str] = field(default_factory=dict)
    """The source of each setting that is not a default."""

    @property
    def asked_for(self) -> bool:
        """Whether any setting requests something, apart from markers and fixtures."""
        wants = self.measures_all or self.drill or bool(self.budget or self.budgets)
        wants = wants or self.gitlab is not None or self.leak_check == "all" or self.hard
        wants = wants or self.runs_parallel
        return (wants or self.isolate != "off") and not self.off

    @property
    def asks_for_one_budget(self) -> bool:
        """Whether the settings request nothing but one budget on the call of every test."""
        more = self.measures_all or self.drill or self.budgets or self.leak_accept
        more = more or self.gitlab is not None or self.leak_check == "all" or self.hard
        more = more or self.isolate != "off"
        more = more or self.runs_parallel
        return self.budget > 0 and not (more or self.off)

    @property
    def measures_all(self) -> bool:
        """Whether the numbers of all tests are kept, not only of those with findings."""
        return self.reads_peaks or self.has_baseline

    @property
    def reads_peaks(self) -> bool:
        """Whether a report or a stored file has the peaks of all tests."""
        reports = (
            self.mem or self.growth or self.json or self.markdown or self.history or self.output
        )
        return bool(reports) or self.stores

    @property
    def compares(self) -> bool:
        """Whether tests are compared with a baseline."""
        return self.compare is not None or bool(self.accept)

    @property
    def has_baseline(self) -> bool:
        """Whether the run reads or writes a baseline."""
        return self.compares or self.saves

    @property
    def saves(self) -> bool:
        """Whether the numbers of all tests are written to a baseline."""
        return self.save is not None

    @property
    def stores(self) -> bool:
        """Whether any numbers are written to a baseline."""
        return self.saves or bool(self.accept)

    @property
    def runs_parallel(self) -> bool:
        """Whether tests wait until there is enough memory for them."""
        return self.parallel is not None

    @property
    def reruns_killed(self) -> str:
        """The setting by which killed tests run once more; empty if they do not."""
        if "rerun_killed" in self.sources:
            return self.where("rerun_killed") if self.rerun_killed else ""
        return self.where("parallel") if self.runs_parallel else ""

    def where(self, name: str) -> str:
        """Return the source of a setting, for messages."""
        return self.sources.get(name, "the default")


# Settings that do nothing without another one. Given by this flag they are refused; in the
# config file they may stand ready for runs that use them.
_NEEDS: Mapping[str, tuple[str, str, str]] = {
    "fail_on": ("--mem-fail-on", "compares", "--mem-compare"),
    "prune": ("--mem-prune", "saves", "--mem-save"),
    "parallel_order": ("--mem-parallel-order", "runs_parallel", "--mem-parallel"),
}


def resolve(given: Mapping[str, tuple[object, str]]) -> Settings:
    """Parse and check all settings.

    Args:
        given: what the user wrote and where, by option name; the command line overrides the
            config file already.

    Raises:
        ConfigError: with a sentence for every value that makes no sense.
    """
    values: dict[str, Any] = {}
    problems: list[str] = []
    for name, (value, source) in given.items():
        try:
            values[name] = PARSERS[name](value)
        except ConfigError as error:  # every problem is reported at once
            problems += [f"{source}: {problem}" for problem in error.problems]
    if problems:
        raise ConfigError(*problems)
    sources = {name: source for name, (_, source) in given.items()}
    settings = Settings(sources=sources, **_completed(values, sources))
    problems = [
        f"{flag}: it does nothing without {other}"
        for name, (flag, needed, other) in _NEEDS.items()
        if settings.where(name) == flag
        and getattr(settings, name)
        and not getattr(settings, needed)
    ]
    if problems:
        raise ConfigError(*problems)
    return settings


def _completed(values: dict[str, Any], sources: Mapping[str, str]) -> dict[str, Any]:
    """Return settings with what follows from them for others.

    Args:
        values: those that are not defaults, by name.
        sources: where each was made.
    """
    for name in ("save", "compare"):
        if values.get(name) == "":
            values[name] = values.get("baseline", BASELINE)
    if values.get("strict"):
        values["leak_strict"] = True
    if "fail_on" in values:
        where = sources["fail_on"]
        values["fail_on"] = tuple(replace(rule, where=where) for rule in values["fail_on"])
    return values


def default_budgets(settings: Settings) -> Sequence[Budget]:
    """Return the default budget of every test; none if no default is set."""
    if not settings.budget:
        return ()
    return (
        Budget(
            limit=settings.budget,
            where=settings.where("budget"),
            warn=settings.warn,
            hard=settings.hard,
        ),
    )
