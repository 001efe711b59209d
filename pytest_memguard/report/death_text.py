"""Says in words how the process of an isolated test died."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from pytest_memguard.model.deaths import Death
from pytest_memguard.model.flights import LostWorker, signal_name
from pytest_memguard.report.post_mortem import cause_text
from pytest_memguard.report.table import format_seconds
from pytest_memguard.sizes import format_size


def death_text(death: Death) -> str:
    """Return the text that the test fails with: what happened, numbers, the Python stack.

    Args:
        death: how it died.
    """
    lines = [f"{_what(death)} (test-died)", _when(death)]
    if death.stack:
        lines += ["Python stack, the innermost call first:"]
        lines += [f"  {line}" for line in death.stack]
    return "\n".join(lines)


def death_sentence(death: Death) -> str:
    """Return how it died, behind the name of the test.

    Args:
        death: how it died.
    """
    return f"{_what(death)}, {_when(death)}"


def _what(death: Death) -> str:
    by = f" ({death.where})" if death.where else ""
    if death.cause == "timeout":
        what = f"was stopped at its timeout of {death.timeout:g} s{by}"
    elif death.cause == "limit":
        what = f"was stopped at its limit of {format_size(death.limit)}{by}"
    else:
        what = cause_text(death.cause, death.ending)
    return f"{what} in its {death.phase}"


def _when(death: Death) -> str:
    """Return after how long it died, and how high its resident memory was."""
    text = f"after {format_seconds(death.seconds)}"
    if death.used is None or death.level is None:
        return text
    used = max(0, death.used)
    return f"{text} at up to {format_size(death.level + used)} (+{format_size(used)})"


def short_cause(died: Death | LostWorker) -> str:
    """Return the cause for a column: "crashed (SIGSEGV)".

    Args:
        died: how a test, or a worker, died.
    """
    ending = died.ending
    if died.cause == "exited":
        return f"exited ({ending.exit_code})"
    if died.cause in {"crashed", "ended", "killed"} and ending.signal is not None:
        return f"{died.cause} ({signal_name(ending.signal)})"
    return died.cause


def deaths_line(deaths: Iterable[Death]) -> str:
    """Return how many processes of tests died, and of what; empty if none did.

    Args:
        deaths: all of them.
    """
    causes = Counter(short_cause(death) for death in deaths)
    if not causes:
        return ""
    number = causes.total()
    whose = "the process of 1 test" if number == 1 else f"the processes of {number:,} tests"
    return f"{whose} died: " + ", ".join(
        f"{count:,} {cause}" for cause, count in causes.most_common()
    )
