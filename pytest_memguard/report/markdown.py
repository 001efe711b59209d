"""A run as Markdown, for the page of a CI job or a comment on a change."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from pytest_memguard.model.metrics import metric_named
from pytest_memguard.model.results import Outcome, Run
from pytest_memguard.report.abort import abort_markdown
from pytest_memguard.report.alerts import alert_markdown
from pytest_memguard.report.cause_lines import cause_name
from pytest_memguard.report.failure import describe_site
from pytest_memguard.report.leak_section import leaks_section
from pytest_memguard.report.markdown_blocks import code, details, fit, paragraph, plain, table
from pytest_memguard.report.notices import Notice, count_by_rule, notices, whole_text
from pytest_memguard.report.parallel import summary_lines
from pytest_memguard.report.post_mortem import lost_markdown
from pytest_memguard.report.summary import by_peak, time_spent, totals_line
from pytest_memguard.report.table import stage_table, test_cells

_ROWS = 50
_DETAILS = 20
_REGRESSION_HEADERS = ("Before", "Now", "Change", "Tests", "Test", "What grew")
_WORDS = {
    "regression": "regression",
    "over-budget": "over budget",
    "hard-limit": "stopped at a hard budget",
    "check-failed": "failed by a check of another plugin",
    "wrong-need": "with a wrong mem_needs marker",
    "near-budget": "near its budget",
    "test-died": "died",
    "leaking": "leaking",
    "lost-worker": "lost worker",
    "memory-abort": "stop of the run",
    "memory-alert": "memory alert",
    "new-test": "not on record",
    "undecided": "undecided",
    "not-measured": "not measured",
    "stage-not-run": "stage not run",
}


def markdown(run: Run, *, top: int, limit: int, whole: bool = True) -> str:
    """Return the whole text; findings come first.

    Args:
        run: the run.
        top: the number of tests in the table of peaks.
        limit: the largest size in bytes; a last line says if something was left out.
        whole: whether the run has the numbers of all tests, not only of those with findings.
    """
    rich: list[Outcome] = []
    spent = time_spent(_sifted(run, rich))
    listed = replace(run, outcomes=rich)
    found = notices(listed)
    errors = [notice for notice in found if notice.level == "error"]
    blocks = [_headline(run, found, whole=whole), *_regressions(found), *_findings(found)]
    blocks += lost_markdown(run.lost)
    blocks += [*abort_markdown(run.abort), *alert_markdown(run.alerts)]
    blocks += _peaks(run, top, whole=whole)
    blocks += _unmeasured(listed)
    texts = {whole_text(notice): notice for notice in reversed(errors[:_DETAILS])}
    blocks += [
        details(f"{notice.rule}: {code(notice.nodeid)}", text)
        for text, notice in reversed(texts.items())
        if text
    ]
    blocks += [
        details(f"All tests of {code(notice.nodeid)}", "\n".join(notice.group.tests))
        for notice in errors[:_DETAILS]
        if notice.group is not None
    ]
    leaks = leaks_section(rich, {})
    if leaks:
        blocks.append(details(plain(leaks[0]), "\n".join(leaks)))
    blocks += [
        details(f"Stages of {code(o.nodeid)}", stage_table(o.stages, o.phase("call")))
        for o in (by_peak(run.outcomes, top) if any(o.stages for o in rich) else ())
        if o.stages
    ]
    if run.parallel is not None:
        title, *rest = summary_lines(run.parallel)
        blocks.append(details(plain(title), "\n".join(rest)))
    environment = run.environment
    where = (
        f"{environment.implementation} {environment.python}, {environment.platform}, "
        f"pytest {environment.pytest}, pytest-memguard {environment.memguard}"
    )
    lines = [totals_line(totals, spent) for totals in run.totals] if whole else []
    blocks.append([paragraph(line) + "  " for line in [*lines, where]])
    return fit(blocks, limit)


def _sifted(run: Run, rich: list[Outcome]) -> Iterator[Outcome]:
    """Yield every result of a run: there may be many, made as they are read.

    Args:
        run: the run.
        rich: is filled with results that have more than peaks.
    """
    for outcome in run.outcomes:
        more = (outcome.findings, outcome.notes, outcome.stages, outcome.death)
        if any(more) or outcome.leak or outcome.leak_skipped:
            rich.append(outcome)
        yield outcome


def _headline(run: Run, found: Sequence[Notice], *, whole: bool) -> list[str]:
    tests = len(run.outcomes)
    counts = [f"{tests:,} test{'' if tests == 1 else 's'}"] if whole else []
    failed = {"over-budget": 0, "regression": 0, "leaking": 0}
    failed.update(count_by_rule(found, "error"))
    for rule, number in failed.items():
        word = _WORDS.get(rule, rule)
        plural = "s" if rule in {"regression", "lost-worker"} and number != 1 else ""
        causes = _causes(found) if rule == "regression" and number > 1 else ""
        counts.append(f"{number:,} {word}{plural}{causes}")
    warnings = sum(1 for notice in found if notice.level == "warning")
    if warnings:
        counts.append(f"{warnings:,} warning{'' if warnings == 1 else 's'}")
    return [f"## Memory: {', '.join(counts)}"]


def _causes(found: Sequence[Notice]) -> str:
    """Return how many causes the regressions have; nothing if none is shared."""
    regressions = [n for n in found if n.rule == "regression" and n.level == "error"]
    if all(notice.group is None for notice in regressions):
        return ""
    return f" of {len(regressions):,} cause{'' if len(regressions) == 1 else 's'}"


def _regressions(found: Sequence[Notice]) -> list[list[str]]:
    """Return a table of the regressions of peaks, with what they were and are."""
    rows = [row for notice in found if (row := _numbers(notice))]
    if not rows:
        return []
    return [
        table(_REGRESSION_HEADERS, rows[:_ROWS], numbers=range(4)),
        *_more(len(rows), _ROWS),
    ]


def _numbers(notice: Notice) -> list[str]:
    """Return the cells of a regression of a peak; none of anything else."""
    finding, group = notice.finding, notice.group
    stored = finding.budget.baseline_value if finding is not None else None
    if notice.rule != "regression" or finding is None or stored is None or finding.peak is None:
        return []
    amount = metric_named(finding.budget.metric).amount
    growth = finding.cause.growth if finding.cause is not None else 0
    is_fill = finding.cause is not None and finding.cause.is_fill
    before = stored.cold if is_fill and stored.cold else stored.before
    now = before + growth if is_fill else finding.peak.value
    tests = 1 if group is None else len(group.tests)
    site = describe_site(finding.sites[0]) if finding.sites else ""
    what = cause_name(group) if group is not None else ""
    sizes = [amount(before), amount(now), f"+{amount(now - before)}", f"{tests:,}"]
    return [*sizes, code(notice.nodeid), plain(what or site)]


def _findings(found: Sequence[Notice]) -> list[list[str]]:
    found = [notice for notice in found if not _numbers(notice)]
    if not found:
        return []
    rows = [
        [
            "**fails**" if notice.level == "error" else "warns",
            code(notice.nodeid),
            plain(f"{notice.text} ({notice.rule})"),
        ]
        for notice in found[:_ROWS]
    ]
    return [table(["", "Test", "Finding"], rows), *_more(len(found), _ROWS)]


def _peaks(run: Run, top: int, *, whole: bool) -> list[list[str]]:
    shown = by_peak((outcome for outcome in run.outcomes if outcome.phases), top)
    if not shown:
        return []
    headers, cells = test_cells(shown)
    rows = [[*map(plain, row[:-1]), code(row[-1])] for row in cells]
    title = "Largest peaks" if whole else "Peaks of these tests"
    block = table(headers, rows, numbers=range(len(headers) - 1))
    return [[f"### {title}"], block, *_more(len(run.outcomes), len(shown))]


def _more(there: int, shown: int) -> list[list[str]]:
    return [[f"*... and {there - shown:,} more*"]] if there > shown else []


def _unmeasured(run: Run) -> list[list[str]]:
    lines = [
        f"- not measured here: {plain(gap.subject)}: {plain(gap.reason)}" for gap in run.gaps
    ]
    notes = [
        f"- {code(outcome.nodeid)}: {plain(note)}"
        for outcome in run.outcomes
        for note in outcome.notes
    ]
    lines += notes[:_ROWS]
    if not lines:
        return []
    return [["### Notes"], lines, *_more(len(notes), _ROWS)]
