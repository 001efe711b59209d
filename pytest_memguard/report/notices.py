"""The findings of a run in order of importance, for CI pages and annotations."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, Literal

from pytest_memguard.model.aborts import Abort
from pytest_memguard.model.alerts import Alert
from pytest_memguard.model.cause_groups import cause_groups
from pytest_memguard.model.causes import CauseGroup
from pytest_memguard.model.flights import LostWorker
from pytest_memguard.model.measurements import QUIET, Finding
from pytest_memguard.model.results import Outcome, Run
from pytest_memguard.report.abort import abort_sentence
from pytest_memguard.report.alerts import alert_sentence
from pytest_memguard.report.cause_lines import cause_sentence
from pytest_memguard.report.death_text import death_sentence, death_text
from pytest_memguard.report.failure import failure_text, finding_sentence
from pytest_memguard.report.leak_section import leaks_by_name
from pytest_memguard.report.leak_text import leak_sentence, leak_text
from pytest_memguard.report.post_mortem import headline, subject
from pytest_memguard.values import dataclass

Level = Literal["error", "warning"]

_FAILED: Final = frozenset({"failed", "error"})
_WEIGHTS: Final = (
    "regression",
    "test-died",
    "leaking",
    "hard-limit",
    "over-budget",
    "check-failed",
    "wrong-need",
    "new-test",
    "near-budget",
    "memory-alert",
    "undecided",
    "not-measured",
    "stage-not-run",
)
"""Rules, the most important first; rules that are not listed come before them."""
UNDECIDED_RULES: Final = frozenset({"undecided", "not-measured", "stage-not-run"})
"""Rules for something that could not be measured or decided."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """One finding about one test; a leak that many tests show is one notice."""

    level: Level
    """``error`` if the test failed with it."""
    rule: str
    """Slug of the rule."""
    nodeid: str
    """The test."""
    file: str
    """Its source file, relative to the root, with slashes."""
    line: int
    """Line of the test, from 1."""
    text: str
    """One line: measured, limit, the difference, and who set it."""
    outcome: Outcome
    """The test's result."""
    name: str = ""
    """What the finding is about, without numbers and lines: the same in every run."""
    excess: int = 0
    """Bytes above the limit, if there is a limit."""
    group: CauseGroup | None = None
    """The cause that the finding has in common with those of other tests."""
    finding: Finding | None = None
    """The finding; ``None`` if it is about a leak or a worker."""


def notices(run: Run) -> list[Notice]:
    """Return all notices, errors first, then by importance.

    Findings that a test was expected to fail with (``xfail``, ``pytest.raises``) are left out,
    and so are accepted ones.

    Args:
        run: the run.
    """
    relevant = [o for o in run.outcomes if o.findings or o.leak or o.death]
    groups = _shared_causes(relevant)
    found = [notice for outcome in relevant for notice in _of_findings(outcome, groups)]
    found += [notice for outcome in relevant for notice in _of_death(outcome)]
    found += _of_leaks(relevant)
    if run.leak_strict:
        found += [notice for outcome in relevant for notice in _undecided(outcome)]
    found += map(_of_lost, run.lost)
    if run.abort is not None:
        found.append(_of_abort(run.abort))
    found += map(_of_alert, run.alerts)
    return sorted(found, key=_order)


def count_by_rule(found: Iterable[Notice], level: Level) -> dict[str, int]:
    """Return the number of notices of each rule, in their order; of a cause, its tests."""
    counts: dict[str, int] = {}
    for notice in found:
        if notice.level == level:
            tests = 1 if notice.group is None else len(notice.group.tests)
            counts[notice.rule] = counts.get(notice.rule, 0) + tests
    return counts


def whole_text(notice: Notice) -> str:
    """Return the text that the test failed with; empty for warnings and lost workers."""
    outcome = notice.outcome
    if notice.level == "warning" or notice.rule in {"lost-worker", "memory-abort"}:
        return ""
    if outcome.leak is not None and notice.rule in {"leaking", "undecided"}:
        of_budget = any(f.rule == "undecided" and f.raised for f in outcome.findings)
        if notice.rule == "leaking" or not of_budget:
            return leak_text(outcome.leak)
    if notice.rule == "test-died" and outcome.death is not None:
        return death_text(outcome.death)
    raised = [finding for finding in outcome.findings if finding.raised]
    return failure_text(raised, outcome.stages, outcome.phase("call"))


def _order(notice: Notice) -> tuple[bool, int, int, str]:
    weight = _WEIGHTS.index(notice.rule) if notice.rule in _WEIGHTS else -1
    return (notice.level != "error", weight, -notice.excess, notice.nodeid)


def _shared_causes(outcomes: Sequence[Outcome]) -> dict[str, list[CauseGroup]]:
    """Return the causes of each test that it has in common with others."""
    failed = [outcome for outcome in outcomes if outcome.result in _FAILED]
    groups: dict[str, list[CauseGroup]] = {}
    for group in cause_groups(failed):
        for nodeid in group.tests if len(group.tests) > 1 else ():
            groups.setdefault(nodeid, []).append(group)
    return groups


def _group_of(
    nodeid: str, finding: Finding, groups: Mapping[str, Sequence[CauseGroup]]
) -> CauseGroup | None:
    """Return the cause that a failure has in common with those of other tests, if it has."""
    mine = groups.get(nodeid, ())
    if finding.cause is None or not finding.raised or not mine:
        return None
    first = finding.cause.first or nodeid
    return next((group for group in mine if group.first == first), mine[0])


def _of_findings(
    outcome: Outcome, groups: Mapping[str, Sequence[CauseGroup]]
) -> Iterable[Notice]:
    """Yield a notice for each finding of a test; a cause of many tests is one, at the first.

    Args:
        outcome: the test's result.
        groups: causes that tests have in common, by node id.
    """
    for finding in outcome.findings:
        if finding.rule in QUIET:
            continue
        group = _group_of(outcome.nodeid, finding, groups)
        if group is not None and group.first != outcome.nodeid:
            continue
        accepted = finding.rule == "regression" and not finding.raised
        if accepted or (finding.raised and outcome.result not in _FAILED):
            continue
        yield _notice(
            outcome,
            "error" if finding.raised else "warning",
            finding.rule,
            finding_sentence(finding) + (f"; {cause_sentence(group)}" if group else ""),
            name=_name(finding),
            excess=_excess(finding) if group is None else group.most,
            group=group,
            finding=finding,
        )


def _excess(finding: Finding) -> int:
    """Return the bytes above the limit; a test that was stopped before has none."""
    if finding.peak is None or finding.stop is not None:
        return 0
    return finding.peak.value - finding.budget.limit


def _name(finding: Finding) -> str:
    """Return what a finding is about, without its numbers."""
    budget = finding.budget
    part = f"stage {budget.stage}" if budget.stage is not None else budget.phase
    return f"{budget.metric} {part}"


def _of_leaks(outcomes: Sequence[Outcome]) -> Iterable[Notice]:
    """Yield a notice for each leak that is neither accepted nor expected."""
    failed = [outcome for outcome in outcomes if outcome.result in _FAILED]
    for name, group in leaks_by_name(failed).items():
        failing = [(outcome, part) for outcome, part in group if not part.accepted]
        if not failing:
            continue
        outcome, part = failing[0]
        text = leak_sentence(part)
        if len(failing) > 1:
            text += f"; {len(failing)} tests show it"
        yield _notice(outcome, "error", "leaking", text, name=name)


def _of_death(outcome: Outcome) -> Iterable[Notice]:
    """Yield the notice of an isolated test whose process died, unless that was expected."""
    death = outcome.death
    if death is not None and outcome.result in _FAILED:
        yield _notice(outcome, "error", "test-died", death_sentence(death), name=death.cause)


def _undecided(outcome: Outcome) -> Iterable[Notice]:
    """Yield the notice of a test that failed because its leak check is undecided."""
    leak = outcome.leak
    if leak is None or leak.verdict.state != "undecided" or outcome.result not in _FAILED:
        return
    yield _notice(outcome, "error", "undecided", leak_sentence(leak))


def _of_lost(lost: LostWorker) -> Notice:
    """Return the notice of a lost worker, at the test that drove its memory or was running."""
    nodeid = lost.driver_test or lost.running or lost.named or subject(lost)
    file = nodeid.partition("::")[0] if "::" in nodeid else ""
    outcome = Outcome(nodeid=nodeid, file=file, result="error", worker=lost.worker)
    is_fine = lost.alone is not None and lost.alone.result in {"passed", "skipped"}
    level: Level = "warning" if is_fine else "error"
    return _notice(outcome, level, "lost-worker", headline(lost), name=lost.cause)


def _of_abort(abort: Abort) -> Notice:
    """Return the notice of a run that was stopped, at the test that had most of its memory."""
    nodeid = next((part.nodeid for part in abort.parts if part.nodeid), "the run")
    file = nodeid.partition("::")[0] if "::" in nodeid else ""
    outcome = Outcome(nodeid=nodeid, file=file, result="error")
    return _notice(outcome, "error", "memory-abort", abort_sentence(abort), name="")


def _of_alert(alert: Alert) -> Notice:
    """Return the notice of an alert, which fails no test."""
    nodeid = alert.nodeid or "the run"
    file = nodeid.partition("::")[0] if "::" in nodeid else ""
    outcome = Outcome(nodeid=nodeid, file=file, result="passed", worker=alert.worker)
    name = f"{alert.worker} {alert.severity}"
    return _notice(outcome, "warning", "memory-alert", alert_sentence(alert), name=name)


def _notice(
    outcome: Outcome,
    level: Level,
    rule: str,
    text: str,
    *,
    name: str = "",
    excess: int = 0,
    group: CauseGroup | None = None,
    finding: Finding | None = None,
) -> Notice:
    return Notice(
        level=level,
        rule=rule,
        nodeid=outcome.nodeid,
        file=outcome.file.replace("\\", "/"),
        line=max(outcome.line, 1),
        text=text,
        outcome=outcome,
        name=name,
        excess=excess,
        group=group,
        finding=finding,
    )
