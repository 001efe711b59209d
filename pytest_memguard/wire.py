"""Converts runs and results of tests to plain JSON and back, with the number of the format."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from pytest_memguard.abort_wire import abort_from_json, abort_to_json
from pytest_memguard.admission_wire import parallel_from_json, parallel_to_json
from pytest_memguard.alert_wire import alert_from_json, alert_to_json
from pytest_memguard.cause_groups import cause_groups
from pytest_memguard.causes import CauseGroup
from pytest_memguard.death_wire import death_from_json, death_to_json
from pytest_memguard.errors import ConfigError
from pytest_memguard.flight_wire import lost_from_json, lost_to_json
from pytest_memguard.formats import Json, is_newer, other_format
from pytest_memguard.leak_wire import leak_from_json, leak_to_json
from pytest_memguard.measurement_wire import (
    budget_from_json,
    budget_to_json,
    fills_from_json,
    fills_to_json,
    finding_from_json,
    finding_to_json,
    group_to_json,
    peak_from_json,
    peak_to_json,
    phase_from_json,
    phase_to_json,
    stage_from_json,
    stage_to_json,
)
from pytest_memguard.metrics import remember_unit, units
from pytest_memguard.model import (
    Environment,
    Gap,
    Outcome,
    Run,
    Totals,
)
from pytest_memguard.watch_reading_wire import watched_from_json, watched_to_json

FORMAT: Final = 3
# 1: first format.
# 2: for a test cold and fills, and for what it is compared with cold_bytes.
# 3: for a run that was stopped memory_abort, for a lost worker alone; alerts; the death of a
#    test; causes of the run, and the cause of a finding; the rule unsure and the state
#    unclear are undecided; what a test has watched; for a peak own_thread_bytes.
_FORMATS: Final = range(1, FORMAT + 1)
_STRICT: Final = ("--mem-leak-strict", "--mem-strict")


def outcome_to_json(outcome: Outcome) -> Json:
    """Return a test's result as plain JSON."""
    return {
        "nodeid": outcome.nodeid,
        "file": outcome.file,
        "line": outcome.line,
        "result": outcome.result,
        "worker": outcome.worker,
        "growth_bytes": outcome.growth,
        "phases": [phase_to_json(phase) for phase in outcome.phases],
        "stages": [stage_to_json(stage) for stage in outcome.stages],
        "budgets": [budget_to_json(budget) for budget in outcome.budgets],
        "findings": [finding_to_json(finding) for finding in outcome.findings],
        "notes": list(outcome.notes),
        "overhead_seconds": outcome.overhead,
        "leak": None if outcome.leak is None else leak_to_json(outcome.leak),
        "leak_skipped": outcome.leak_skipped,
        "imports": outcome.imports,
        **({} if outcome.cold is None else {"cold": peak_to_json(outcome.cold)}),
        **({"fills": fills_to_json(outcome.fills)} if outcome.fills else {}),
        **({} if outcome.death is None else {"death": death_to_json(outcome.death)}),
        **watched_to_json(outcome.watched),
    }


def outcome_from_json(data: Json) -> Outcome:
    """Return a test's result from its plain form."""
    return Outcome(
        nodeid=data["nodeid"],
        file=data["file"],
        line=data["line"],
        result=data["result"],
        worker=data["worker"],
        phases=tuple(phase_from_json(phase) for phase in data["phases"]),
        stages=tuple(stage_from_json(stage) for stage in data["stages"]),
        budgets=tuple(budget_from_json(budget) for budget in data["budgets"]),
        findings=tuple(finding_from_json(finding) for finding in data["findings"]),
        notes=tuple(data["notes"]),
        overhead=data["overhead_seconds"],
        leak=None if data["leak"] is None else leak_from_json(data["leak"]),
        leak_skipped=data["leak_skipped"],
        imports=data["imports"],
        cold=peak_from_json(data["cold"]) if "cold" in data else None,
        fills=fills_from_json(data.get("fills", ())),
        death=death_from_json(data["death"]) if "death" in data else None,
        watched=watched_from_json(data.get("watched", ())),
    )


def _run_without_tests(run: Run, causes: Sequence[CauseGroup]) -> Json:
    """Return a run as plain JSON, with an empty list in the place of its tests.

    Args:
        run: the run.
        causes: what its regressions have in common.
    """
    environment = run.environment
    return {
        "format": FORMAT,
        "environment": {
            "python": environment.python,
            "implementation": environment.implementation,
            "platform": environment.platform,
            "pytest": environment.pytest,
            "memguard": environment.memguard,
            "allocator": environment.allocator,
        },
        **({"units": units()} if units() else {}),
        "settings": dict(run.settings),
        "gaps": [{"subject": gap.subject, "reason": gap.reason} for gap in run.gaps],
        "totals": [
            {
                "worker": totals.worker,
                "tests": totals.tests,
                "start_rss_bytes": totals.start,
                "end_rss_bytes": totals.end,
                "highest_rss_bytes": totals.highest,
                "overhead_seconds": totals.overhead,
            }
            for totals in run.totals
        ],
        **({"lost_workers": [lost_to_json(lost) for lost in run.lost]} if run.lost else {}),
        **({} if run.abort is None else {"memory_abort": abort_to_json(run.abort)}),
        **({"alerts": [alert_to_json(one) for one in run.alerts]} if run.alerts else {}),
        **({"causes": [group_to_json(cause) for cause in causes]} if causes else {}),
        **({"parallel": parallel_to_json(run.parallel)} if run.parallel is not None else {}),
        "tests": [],
    }


def _is_on(setting: str) -> bool:
    """Return whether a stored setting is on: its text is "True (setup.cfg)", say."""
    return setting.partition(" (")[0] == str(True)


def run_in_pieces(run: Run) -> Iterator[str]:
    """Yield the text of the file that ``--mem-json`` writes, test by test.

    The text of all tests at once would take thousands of bytes for each of them.
    """
    causes = cause_groups(run.outcomes)
    around = json.dumps(_run_without_tests(run, causes), indent=1)
    head, tail = around.rsplit("[]", 1)  # the list of tests comes last
    yield head
    separator = "[\n  "
    for outcome in run.outcomes:
        yield separator
        yield json.dumps(outcome_to_json(outcome), indent=1).replace("\n", "\n  ")
        separator = ",\n  "
    yield "\n ]" if len(run.outcomes) else "[]"
    yield f"{tail}\n"


def run_from_json(data: object, source: str) -> Run:
    """Return a whole run from its plain form.

    Args:
        data: the content of the JSON file.
        source: the file's name, for messages.

    Raises:
        ConfigError: if it is not a run, or has a newer format.
    """
    ours = isinstance(data, Mapping) and "format" in data and "tests" in data
    if not isinstance(data, Mapping) or not (ours or is_newer(data, FORMAT)):
        msg = f"{source} is not a file that --mem-json wrote"
        raise ConfigError(msg)
    if type(data["format"]) is not int or data["format"] not in _FORMATS:
        msg = f"{source} has {other_format(data['format'], FORMAT)}"
        raise ConfigError(msg)
    try:
        for name, unit in data.get("units", {}).items():
            remember_unit(str(name), str(unit))
        return Run(
            environment=Environment(**data["environment"]),
            settings=tuple(data["settings"].items()),
            gaps=tuple(Gap(**gap) for gap in data["gaps"]),
            outcomes=tuple(outcome_from_json(test) for test in data["tests"]),
            totals=tuple(
                Totals(
                    worker=totals["worker"],
                    tests=totals["tests"],
                    start=totals["start_rss_bytes"],
                    end=totals["end_rss_bytes"],
                    highest=totals["highest_rss_bytes"],
                    overhead=totals["overhead_seconds"],
                )
                for totals in data["totals"]
            ),
            leak_strict=any(_is_on(data["settings"].get(name, "")) for name in _STRICT),
            lost=tuple(lost_from_json(lost) for lost in data.get("lost_workers", ())),
            abort=abort_from_json(data["memory_abort"]) if "memory_abort" in data else None,
            alerts=tuple(alert_from_json(alert) for alert in data.get("alerts", ())),
            parallel=parallel_from_json(data["parallel"]) if "parallel" in data else None,
        )
    except (KeyError, TypeError, AttributeError) as error:
        msg = f"{source} lacks something a run has ({type(error).__name__}: {error})"
        raise ConfigError(msg) from error
