"""The text of a failing test: breaches, stages, largest lines, and what to do next."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_memguard.escapes import one_line
from pytest_memguard.model.measurements import CallSite, Finding, PhaseReading, StageReading
from pytest_memguard.report.table import site_table, stage_table
from pytest_memguard.sizes import format_size


def describe_site(site: CallSite) -> str:
    """Return an allocation site and its size, in words."""
    place = f"{site.file}:{site.line}" if site.line else site.file
    return f"{site.function}, {place}, {format_size(site.size)}"


def headline(finding: Finding) -> str:
    """Return one line: the sentence of a finding, and its slug."""
    return f"{finding_sentence(finding)} ({finding.slug})"


def finding_sentence(finding: Finding) -> str:
    """Return one line: measured, limit, the difference, who set it, and the largest line."""
    largest = f"; largest: {describe_site(finding.sites[0])}" if finding.sites else ""
    return one_line(f"{finding.text}{largest}")


def failure_text(
    findings: Sequence[Finding],
    stages: Sequence[StageReading],
    call: PhaseReading | None,
    more: Sequence[str] = (),
) -> str:
    """Return the whole text of a failure.

    Args:
        findings: the breaches of one phase.
        stages: the test's stages so far.
        call: the reading of the call, if it has been measured.
        more: paragraphs for the end.
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
    """Return a table of lines for each stage of which they are known."""
    return [
        one_line(f"Lines that grew most in stage {stage.path!r}, at its peak:")
        + "\n"
        + site_table(stage.lines)
        for stage in stages
        if stage.lines
    ]
