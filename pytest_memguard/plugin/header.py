"""The lines at the start of a run: what is measured, against which limits, and what is not."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_memguard.escapes import one_line
from pytest_memguard.measure.gaps import NO_MARK, NO_RESIDENT
from pytest_memguard.model.metrics import RSS
from pytest_memguard.model.results import Gap
from pytest_memguard.options.settings import Settings
from pytest_memguard.sizes import format_size


def header(settings: Settings, gaps: Sequence[Gap]) -> list[str]:
    """The lines at the start of a run."""
    limits = []
    if settings.budget:
        limits.append(f"budget {format_size(settings.budget)} ({settings.where('budget')})")
    if settings.budgets:
        limits.append(f"{len(settings.budgets)} patterns ({settings.where('budgets')})")
    if settings.hard:
        limits.append(f"budgets on {RSS.noun} are hard ({settings.where('hard')})")
    if settings.mode == "warn":
        limits.append(f"breaches only warn ({settings.where('mode')})")
    if settings.leak_check == "all":
        most = f"{settings.leak_calls:,} calls or {settings.leak_seconds:g} s a test at most"
        limits.append(f"leak check of every test, {most} ({settings.where('leak_check')})")
    if settings.isolate != "off":
        where = settings.where("isolate")
        limits.append(f"each {settings.isolate} in a process of its own ({where})")
    lines = [f"memguard: {'; '.join([_how_measured(gaps), *limits])}"]
    return [one_line(line) for line in (*lines, *(f"memguard: {in_words(g)}" for g in gaps))]


def _how_measured(gaps: Sequence[Gap]) -> str:
    missing = {gap.subject for gap in gaps}
    how = f"by the {NO_MARK}"
    if NO_RESIDENT in missing:
        how = "not measured"
    elif NO_MARK in missing:
        how = "sampled"
    return f"{RSS.noun} {how}"


def in_words(gap: Gap) -> str:
    """A gap as a line of the report."""
    return f"not measured here: {gap.subject}: {gap.reason}"
