"""Converts peaks, budgets, findings, phases and stages to plain JSON and back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from pytest_memguard.baselines import BaselineValue, FailRule, Fill
from pytest_memguard.causes import Cause, CauseGroup
from pytest_memguard.formats import Json
from pytest_memguard.model import (
    Budget,
    CallSite,
    Finding,
    Peak,
    PhaseReading,
    StageReading,
    Stop,
)


def peak_to_json(peak: Peak) -> Json:
    """Return a peak as plain JSON."""
    return {
        "metric": peak.metric,
        "bytes": peak.value,
        "upper_bound_bytes": peak.high,
        "method": peak.method,
        **({} if peak.unseen == 0 else {"unseen_bytes": peak.unseen}),
        **({} if peak.own is None else {"own_thread_bytes": peak.own}),
    }


def peak_from_json(data: Json) -> Peak:
    """Return a peak from its plain form."""
    return Peak(
        metric=data["metric"],
        value=data["bytes"],
        high=data["upper_bound_bytes"],
        method=data["method"],
        unseen=data.get("unseen_bytes", 0),
        own=data.get("own_thread_bytes"),
    )


def baseline_value_to_json(value: BaselineValue) -> Json:
    """Return the baseline value of a limit as plain JSON."""
    rule = value.rule
    return {
        "before_bytes": value.before,
        "at_least_bytes": value.low,
        "imports": value.imports,
        "rule": asdict(rule),
        **({"cold_bytes": value.cold} if value.cold else {}),
    }


def baseline_value_from_json(data: Json) -> BaselineValue:
    """Return the baseline value of a limit from its plain form."""
    return BaselineValue(
        before=data["before_bytes"],
        low=data["at_least_bytes"],
        imports=data["imports"],
        rule=FailRule(**data["rule"]),
        cold=data.get("cold_bytes", 0),
    )


def fills_to_json(fills: Sequence[Fill]) -> list[Json]:
    """Return what a first call fills as plain JSON."""
    return [{"holder": fill.holder, "bytes": fill.size} for fill in fills]


def fills_from_json(data: Sequence[Json]) -> tuple[Fill, ...]:
    """Return what a first call fills from its plain form."""
    return tuple(Fill(holder=fill["holder"], size=fill["bytes"]) for fill in data)


def budget_to_json(budget: Budget) -> Json:
    """Return a budget as plain JSON."""
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
            else {"former": baseline_value_to_json(budget.baseline_value)}
        ),
        **({"hard": True} if budget.hard else {}),
    }


def budget_from_json(data: Json) -> Budget:
    """Return a budget from its plain form."""
    return Budget(
        limit=data["limit_bytes"],
        metric=data["metric"],
        phase=data["phase"],
        stage=data["stage"],
        warn=data["warn"],
        threads=data["threads"],
        where=data["where"],
        baseline_value=baseline_value_from_json(data["former"]) if "former" in data else None,
        hard=data.get("hard", False),
    )


def site_to_json(site: CallSite) -> Json:
    """Return an allocation site as plain JSON."""
    return {
        "file": site.file,
        "line": site.line,
        "function": site.function,
        "bytes": site.size,
        "blocks": site.count,
        "kept_bytes": site.kept,
    }


def site_from_json(data: Json) -> CallSite:
    """Return an allocation site from its plain form."""
    return CallSite(
        file=data["file"],
        line=data["line"],
        function=data["function"],
        size=data["bytes"],
        count=data["blocks"],
        kept=data["kept_bytes"],
    )


def stop_to_json(stop: Stop) -> Json:
    """Return where a test was stopped as plain JSON."""
    return {
        "by": stop.by,
        "used_bytes": stop.used,
        "caught": stop.caught,
        "file": stop.file,
        "line": stop.line,
        "function": stop.function,
        "test_line": stop.test_line,
        "stage": stop.stage,
        "thread": stop.thread,
        "words": stop.words,
    }


def stop_from_json(data: Json) -> Stop:
    """Return where a test was stopped from its plain form."""
    return Stop(
        by=data["by"],
        used=data["used_bytes"],
        caught=data["caught"],
        file=data["file"],
        line=data["line"],
        function=data["function"],
        test_line=data["test_line"],
        stage=data["stage"],
        thread=data["thread"],
        words=data["words"],
    )


def cause_to_json(cause: Cause) -> Json:
    """Return the cause of a regression as plain JSON."""
    return {
        "growth_bytes": cause.growth,
        "lines": list(cause.lines),
        "holder": cause.holder,
        "is_fill": cause.is_fill,
        "stage": cause.stage,
        "fixtures": list(cause.fixtures),
        "first": cause.first,
    }


def cause_from_json(data: Json) -> Cause:
    """Return the cause of a regression from its plain form."""
    return Cause(
        growth=data["growth_bytes"],
        lines=tuple(data["lines"]),
        holder=data["holder"],
        is_fill=data["is_fill"],
        stage=data["stage"],
        fixtures=tuple(data["fixtures"]),
        first=data["first"],
    )


def group_to_json(group: CauseGroup) -> Json:
    """Return what regressions of a run have in common as plain JSON."""
    return {
        "first": group.first,
        "tests": list(group.tests),
        "undecided": list(group.undecided),
        "line": group.line,
        "holder": group.holder,
        "stage": group.stage,
        "least_bytes": group.least,
        "most_bytes": group.most,
    }


def finding_to_json(finding: Finding) -> Json:
    """Return a finding as plain JSON."""
    return {
        "rule": finding.rule,
        "text": finding.text,
        "budget": budget_to_json(finding.budget),
        "peak": None if finding.peak is None else peak_to_json(finding.peak),
        "lines": [site_to_json(site) for site in finding.sites],
        "advice": finding.advice,
        "raised": finding.raised,
        **({} if not finding.check else {"check": finding.check}),
        **({} if finding.stop is None else {"stop": stop_to_json(finding.stop)}),
        **({} if finding.cause is None else {"cause": cause_to_json(finding.cause)}),
    }


def finding_from_json(data: Json) -> Finding:
    """Return a finding from its plain form."""
    return Finding(
        rule="undecided" if data["rule"] == "unsure" else data["rule"],  # up to format 2
        text=data["text"],
        budget=budget_from_json(data["budget"]),
        peak=None if data["peak"] is None else peak_from_json(data["peak"]),
        sites=tuple(site_from_json(site) for site in data["lines"]),
        advice=data["advice"],
        raised=data["raised"],
        check=data.get("check", ""),
        stop=stop_from_json(data["stop"]) if "stop" in data else None,
        cause=cause_from_json(data["cause"]) if "cause" in data else None,
    )


def phase_to_json(phase: PhaseReading) -> Json:
    """Return a phase's reading as plain JSON."""
    return {
        "name": phase.name,
        "seconds": phase.seconds,
        "start_rss_bytes": phase.level,
        "growth_bytes": phase.growth,
        "peaks": [peak_to_json(peak) for peak in phase.peaks],
    }


def phase_from_json(data: Json) -> PhaseReading:
    """Return a phase's reading from its plain form."""
    return PhaseReading(
        name=data["name"],
        seconds=data["seconds"],
        level=data["start_rss_bytes"],
        growth=data["growth_bytes"],
        peaks=tuple(peak_from_json(peak) for peak in data["peaks"]),
    )


def stage_to_json(stage: StageReading) -> Json:
    """Return a stage's reading as plain JSON."""
    return {
        "path": stage.path,
        "count": stage.count,
        "delta_bytes": stage.delta,
        "cumulative_bytes": stage.cumul,
        "seconds": stage.seconds,
        "peaks": [peak_to_json(peak) for peak in stage.peaks],
        "lines": [site_to_json(site) for site in stage.lines],
    }


def stage_from_json(data: Json) -> StageReading:
    """Return a stage's reading from its plain form."""
    return StageReading(
        path=data["path"],
        count=data["count"],
        delta=data["delta_bytes"],
        cumul=data["cumulative_bytes"],
        seconds=data["seconds"],
        peaks=tuple(peak_from_json(peak) for peak in data["peaks"]),
        lines=tuple(site_from_json(site) for site in data["lines"]),
    )
