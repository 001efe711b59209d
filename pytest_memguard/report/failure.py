"""What a failing test says: a line a breach, the stages, the largest lines, what to do next."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_memguard.escapes import one_line
from pytest_memguard.model import CallSite, Finding, PhaseReading, StageReading
from pytest_memguard.report.table import site_table, stage_table
from pytest_memguard.sizes import format_size


def describe_site(site: CallSite) -> str:
    """A line and what it held, in words."""
    place = f"{site.file}:{site.line}" if site.line else site.file
    return f"{site.function}, {place}, {format_size(site.size)}"


def headline(finding: Finding) -> str:
    """One line: what was found, and the name of the rule."""
    return f"{finding_sentence(finding)} ({finding.slug})"


def finding_sentence(finding: Finding) -> str:
    """One line: measured, limit, by how much, who set it, and the largest line."""
    largest = f"; largest: {describe_site(finding.sites[0])}" if finding.sites else ""
    return one_line(f"{finding.text}{largest}")


def failure_text(
    findings: Sequence[Finding],
    stages: Sequence[StageReading],
    call: PhaseReading | None,
    more: Sequence[str] = (),
) -> str:
    """The whole text of a failure.

    Args:
        findings: the breaches of one phase.
        stages: the test's stages so far.
        call: the call phase, if it has been measured.
        more: paragraphs for its end.
    """
    parts = ["\n".join(headline(finding) for finding in findings)]
    if stages:
        parts.append(stage_table(stages, call))
    parts += stage_lines(stages)
    seen = set()
    for finding in findings:
        if finding.sites and finding.sites not in seen:
            seen.add(finding.sites)
            parts.append("Largest allocations at the peak:\n" + site_table(finding.sites))
    parts += dict.fromkeys(one_line(found.advice) for found in findings if found.advice)
    parts += dict.fromkeys(more)
    return "\n\n".join(parts)


def stage_lines(stages: Sequence[StageReading]) -> list[str]:
    """The lines of the stages that were drilled into, a table each."""
    return [
        one_line(f"Lines that grew most in stage {stage.path!r}, at its peak:")
        + "\n"
        + site_table(stage.lines)
        for stage in stages
        if stage.lines
    ]
