"""The model as plain JSON and back, with a format number."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from typing import Any, Final

from pytest_memguard.baselines import BaselineValue, FailRule
from pytest_memguard.errors import ConfigError
from pytest_memguard.formats import is_newer, other_format
from pytest_memguard.leaks import (
    Blame,
    Kept,
    LeakLine,
    LeakReading,
    Rate,
    RetentionPath,
    Round,
    TypeGrowth,
    Verdict,
)
from pytest_memguard.metrics import remember_unit, units
from pytest_memguard.model import (
    Budget,
    CallSite,
    Environment,
    Finding,
    Gap,
    Outcome,
    Peak,
    PhaseReading,
    Run,
    StageReading,
    Totals,
)

FORMAT: Final = 1
# 1: first format.

Json = dict[str, Any]


def peak_to_json(peak: Peak) -> Json:
    """Plain form of a peak."""
    return {
        "metric": peak.metric,
        "bytes": peak.value,
        "upper_bound_bytes": peak.high,
        "method": peak.method,
        **({} if peak.unseen == 0 else {"unseen_bytes": peak.unseen}),
    }


def _peak(data: Json) -> Peak:
    return Peak(
        metric=data["metric"],
        value=data["bytes"],
        high=data["upper_bound_bytes"],
        method=data["method"],
        unseen=data.get("unseen_bytes", 0),
    )


def _baseline_value_to_json(value: BaselineValue) -> Json:
    rule = value.rule
    return {
        "before_bytes": value.before,
        "at_least_bytes": value.low,
        "imports": value.imports,
        "rule": asdict(rule),
    }


def _baseline_value(data: Json) -> BaselineValue:
    return BaselineValue(
        before=data["before_bytes"],
        low=data["at_least_bytes"],
        imports=data["imports"],
        rule=FailRule(**data["rule"]),
    )


def _budget_to_json(budget: Budget) -> Json:
    return {
        "limit_bytes": budget.limit,
        "metric": budget.metric,
        "phase": budget.phase,
        "stage": budget.stage,
        "warn": budget.warn,
        "threads": budget.threads,
        "where": budget.where,
        **(
            {}
            if budget.baseline_value is None
            else {"former": _baseline_value_to_json(budget.baseline_value)}
        ),
    }


def _budget(data: Json) -> Budget:
    return Budget(
        limit=data["limit_bytes"],
        metric=data["metric"],
        phase=data["phase"],
        stage=data["stage"],
        warn=data["warn"],
        threads=data["threads"],
        where=data["where"],
        baseline_value=_baseline_value(data["former"]) if "former" in data else None,
    )


def _site_to_json(site: CallSite) -> Json:
    return {
        "file": site.file,
        "line": site.line,
        "function": site.function,
        "bytes": site.size,
        "blocks": site.count,
        "kept_bytes": site.kept,
    }


def _site(data: Json) -> CallSite:
    return CallSite(
        file=data["file"],
        line=data["line"],
        function=data["function"],
        size=data["bytes"],
        count=data["blocks"],
        kept=data["kept_bytes"],
    )


def _finding_to_json(finding: Finding) -> Json:
    return {
        "rule": finding.rule,
        "text": finding.text,
        "budget": _budget_to_json(finding.budget),
        "peak": None if finding.peak is None else peak_to_json(finding.peak),
        "lines": [_site_to_json(site) for site in finding.sites],
        "advice": finding.advice,
        "raised": finding.raised,
        **({} if not finding.check else {"check": finding.check}),
    }


def _finding(data: Json) -> Finding:
    return Finding(
        rule=data["rule"],
        text=data["text"],
        budget=_budget(data["budget"]),
        peak=None if data["peak"] is None else _peak(data["peak"]),
        sites=tuple(_site(site) for site in data["lines"]),
        advice=data["advice"],
        raised=data["raised"],
        check=data.get("check", ""),
    )


def _phase_to_json(phase: PhaseReading) -> Json:
    return {
        "name": phase.name,
        "seconds": phase.seconds,
        "start_rss_bytes": phase.level,
        "growth_bytes": phase.growth,
        "peaks": [peak_to_json(peak) for peak in phase.peaks],
    }


def _phase(data: Json) -> PhaseReading:
    return PhaseReading(
        name=data["name"],
        seconds=data["seconds"],
        level=data["start_rss_bytes"],
        growth=data["growth_bytes"],
        peaks=tuple(_peak(peak) for peak in data["peaks"]),
    )


def _stage_to_json(stage: StageReading) -> Json:
    return {
        "path": stage.path,
        "count": stage.count,
        "delta_bytes": stage.delta,
        "cumulative_bytes": stage.cumul,
        "seconds": stage.seconds,
        "peaks": [peak_to_json(peak) for peak in stage.peaks],
        "lines": [_site_to_json(site) for site in stage.lines],
    }


def _stage(data: Json) -> StageReading:
    return StageReading(
        path=data["path"],
        count=data["count"],
        delta=data["delta_bytes"],
        cumul=data["cumulative_bytes"],
        seconds=data["seconds"],
        peaks=tuple(_peak(peak) for peak in data["peaks"]),
        lines=tuple(_site(site) for site in data["lines"]),
    )


def verdict_to_json(verdict: Verdict) -> Json:
    """Plain form of a leak verdict."""
    return {
        "state": verdict.state,
        "calls": verdict.calls,
        "reason": verdict.reason,
        "rates": [asdict(rate) for rate in verdict.rates],
        "rounds": [
            {"calls": a_round.calls, "growth": dict(a_round.growth)}
            for a_round in verdict.rounds
        ],
    }


def _verdict(data: Json) -> Verdict:
    return Verdict(
        state=data["state"],
        calls=data["calls"],
        reason=data["reason"],
        rates=tuple(Rate(**rate) for rate in data["rates"]),
        rounds=tuple(
            Round(calls=a_round["calls"], growth=tuple(a_round["growth"].items()))
            for a_round in data["rounds"]
        ),
    )


def blame_to_json(blame: Blame) -> Json:
    """Plain form of who did it."""
    return {
        "calls": blame.calls,
        "lines": [asdict(line) | {"left": dict(line.left)} for line in blame.lines],
        "types": [asdict(growth) for growth in blame.types],
        "path": None if blame.path is None else asdict(blame.path),
        "notes": list(blame.notes),
        "fingerprint": blame.fingerprint,
        "former_fingerprint": blame.earlier_fingerprint,
        "bytes_per_call": blame.per_call,
    }


def blame_from_json(data: Json) -> Blame:
    """Who did it, back from its plain form."""
    path = data["path"]
    return Blame(
        calls=data["calls"],
        lines=tuple(
            LeakLine(
                **{
                    **line,
                    "native": tuple(line["native"]),
                    "left": tuple(line.get("left", {}).items()),
                }
            )
            for line in data["lines"]
        ),
        types=tuple(TypeGrowth(**growth) for growth in data["types"]),
        path=None if path is None else RetentionPath(**{**path, "steps": tuple(path["steps"])}),
        notes=tuple(data["notes"]),
        fingerprint=data["fingerprint"],
        earlier_fingerprint=data.get("former_fingerprint", ""),
        per_call=data.get("bytes_per_call"),
    )


def _leak_to_json(leak: LeakReading) -> Json:
    return {
        "verdict": verdict_to_json(leak.verdict),
        "blame": None if leak.blame is None else blame_to_json(leak.blame),
        "accepted": leak.accepted,
        "calls": leak.calls,
        "seconds": leak.seconds,
        "kept": [asdict(kept) | {"rates": dict(kept.rates)} for kept in leak.kept],
        "more": [_leak_to_json(part) for part in leak.more],
    }


def _leak(data: Json) -> LeakReading:
    return LeakReading(
        verdict=_verdict(data["verdict"]),
        blame=None if data["blame"] is None else blame_from_json(data["blame"]),
        accepted=data["accepted"],
        calls=data["calls"],
        seconds=data["seconds"],
        kept=tuple(
            Kept(**{**kept, "rates": tuple(kept["rates"].items())})
            for kept in data.get("kept", ())
        ),
        more=tuple(_leak(part) for part in data.get("more", ())),
    )


def outcome_to_json(outcome: Outcome) -> Json:
    """Plain form of one test's outcome."""
    return {
        "nodeid": outcome.nodeid,
        "file": outcome.file,
        "line": outcome.line,
        "result": outcome.result,
        "worker": outcome.worker,
        "growth_bytes": outcome.growth,
        "phases": [_phase_to_json(phase) for phase in outcome.phases],
        "stages": [_stage_to_json(stage) for stage in outcome.stages],
        "budgets": [_budget_to_json(budget) for budget in outcome.budgets],
        "findings": [_finding_to_json(finding) for finding in outcome.findings],
        "notes": list(outcome.notes),
        "overhead_seconds": outcome.overhead,
        "leak": None if outcome.leak is None else _leak_to_json(outcome.leak),
        "leak_skipped": outcome.leak_skipped,
        "imports": outcome.imports,
    }


def outcome_from_json(data: Json) -> Outcome:
    """One test's outcome back from its plain form."""
    return Outcome(
        nodeid=data["nodeid"],
        file=data["file"],
        line=data["line"],
        result=data["result"],
        worker=data["worker"],
        phases=tuple(_phase(phase) for phase in data["phases"]),
        stages=tuple(_stage(stage) for stage in data["stages"]),
        budgets=tuple(_budget(budget) for budget in data["budgets"]),
        findings=tuple(_finding(finding) for finding in data["findings"]),
        notes=tuple(data["notes"]),
        overhead=data["overhead_seconds"],
        leak=None if data["leak"] is None else _leak(data["leak"]),
        leak_skipped=data["leak_skipped"],
        imports=data["imports"],
    )


def run_to_json(run: Run) -> Json:
    """Plain form of a whole run: what ``--mem-json`` writes."""
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
        "tests": [outcome_to_json(outcome) for outcome in run.outcomes],
    }


def _is_on(setting: str) -> bool:
    """Whether a stored setting is on; it is stored with its source: "True (setup.cfg)"."""
    return setting.partition(" (")[0] == str(True)


def run_in_pieces(run: Run) -> Iterator[str]:
    """The text of the file that ``--mem-json`` writes, test by test.

    The text of all tests at once would take thousands of bytes for each of them.
    """
    around = json.dumps(run_to_json(replace(run, outcomes=())), indent=1)
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
    """A whole run back from its plain form.

    Args:
        data: what the JSON file holds.
        source: its name, for messages.

    Raises:
        ConfigError: if it is no run of ours, or of a newer format.
    """
    ours = isinstance(data, Mapping) and "format" in data and "tests" in data
    if not isinstance(data, Mapping) or not (ours or is_newer(data, FORMAT)):
        msg = f"{source} is not a file that --mem-json wrote"
        raise ConfigError(msg)
    if type(data["format"]) is not int or data["format"] != FORMAT:
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
            leak_strict=_is_on(data["settings"].get("--mem-leak-strict", "")),
        )
    except (KeyError, TypeError, AttributeError) as error:
        msg = f"{source} lacks something a run has ({type(error).__name__}: {error})"
        raise ConfigError(msg) from error
