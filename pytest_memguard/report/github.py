"""Findings as GitHub's workflow commands, which become annotations at a test's line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from pytest_memguard.escapes import command_data, command_property
from pytest_memguard.report.notices import Notice
from pytest_memguard.report.repository_paths import in_repository

SHOWN: Final = 10
"""How many annotations of one level GitHub shows for a step; it silently drops the others."""
_TITLE = 255
"""The longest title of an annotation, in characters."""


def workflow_commands(found: Sequence[Notice], prefix: str) -> list[str]:
    """Return a line to print for each notice, up to the number that GitHub shows.

    Args:
        found: the notices, the most important first.
        prefix: path from the root of the repository to that of pytest.
    """
    lines = []
    for level in ("error", "warning"):
        notices = [notice for notice in found if notice.level == level]
        lines += [_command(notice, prefix) for notice in notices[:SHOWN]]
        more = len(notices) - SHOWN
        if more > 0:
            lines.append(
                f"{more:,} more {level}{'' if more == 1 else 's'} without an annotation: "
                f"GitHub shows {SHOWN} of them for a step"
            )
    return lines


def _command(notice: Notice, prefix: str) -> str:
    title = f"{notice.rule}: {notice.nodeid}"
    properties = {"title": title if len(title) <= _TITLE else f"{title[: _TITLE - 3]}..."}
    if notice.file:
        place = {"file": in_repository(notice.file, prefix), "line": str(notice.line)}
        properties = {**place, **properties}
    written = ",".join(
        f"{name}={command_property(value)}" for name, value in properties.items()
    )
    return f"::{notice.level} {written}::{command_data(notice.text)}"
