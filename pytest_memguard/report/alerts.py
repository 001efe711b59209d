"""Says in words which processes, or runs, have reached levels of alerts."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_memguard.escapes import one_line
from pytest_memguard.model.alerts import RUN_RSS, SEVERITIES, Alert, alert_amount
from pytest_memguard.report.markdown_blocks import code, plain

MOST_LISTED = 20


def alert_sentence(alert: Alert) -> str:
    """Return one sentence: which process has reached which level, and in which test."""
    sentence = f"{alert.severity}: {_reached(alert)} {_when(alert, alert.nodeid)}"
    return one_line(sentence.rstrip())


def alert_lines(alerts: Sequence[Alert]) -> list[str]:
    """Return a line for each alert, the worst first."""
    lines = [alert_sentence(alert) for alert in by_severity(alerts)[:MOST_LISTED]]
    if len(alerts) > MOST_LISTED:
        lines.append(f"... and {len(alerts) - MOST_LISTED} more alerts")
    return lines


def alert_markdown(alerts: Sequence[Alert]) -> list[list[str]]:
    """Return blocks of Markdown about alerts; none if there are none."""
    if not alerts:
        return []
    block = [
        f"- **{alert.severity}**: {plain(_reached(alert))} {_when(alert, code(alert.nodeid))}"
        for alert in by_severity(alerts)[:MOST_LISTED]
    ]
    block = [line.rstrip() for line in block]
    if len(alerts) > MOST_LISTED:
        block.append(f"- ... and {len(alerts) - MOST_LISTED} more")
    return [["### Memory alerts"], block]


def by_severity(alerts: Sequence[Alert]) -> list[Alert]:
    """Return alerts, the worst first, and then the largest."""
    return sorted(alerts, key=lambda one: (-SEVERITIES.index(one.severity), -one.highest))


def _reached(alert: Alert) -> str:
    process = "the run" if alert.signal == RUN_RSS else alert.worker or "pytest"
    reading, limit = (alert_amount(alert.signal, n) for n in (alert.highest, alert.limit))
    of_its_own = " of its own (USS)" if alert.signal == "worker uss" else ""
    return f"{process} reached {reading}{of_its_own} (level {limit})"


def _when(alert: Alert, name: str) -> str:
    """Return when a level was reached; most are reached in the call of a test."""
    if alert.worker and alert.nodeid and alert.signal == RUN_RSS:
        return f"and most of it was that of {name} in {alert.worker}"
    if not alert.nodeid:
        return "" if alert.signal == RUN_RSS else "before the first test"
    part = "" if alert.phase == "call" else f"the {alert.phase} of "
    return f"in {part}{name}"
