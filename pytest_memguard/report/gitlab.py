"""Findings as GitLab's code quality report, which merge requests show."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Sequence

from pytest_memguard.escapes import well_formed
from pytest_memguard.report.cause_lines import cause_name
from pytest_memguard.report.notices import UNDECIDED_RULES, Notice
from pytest_memguard.report.repository_paths import in_repository


def code_quality(found: Sequence[Notice], prefix: str) -> str:
    """Return the report as JSON; an empty list without notices.

    Args:
        found: all notices.
        prefix: path from the root of the repository to that of pytest.
    """
    seen: Counter[str] = Counter()
    return json.dumps([_entry(notice, prefix, seen) for notice in found], indent=1) + "\n"


def _entry(notice: Notice, prefix: str, seen: Counter[str]) -> dict[str, object]:
    return {
        "description": well_formed(f"{notice.nodeid}: {notice.text}"),
        "check_name": f"memguard/{notice.rule}",
        "fingerprint": _fingerprint(notice, seen),
        "severity": _severity(notice),
        "location": {
            "path": well_formed(in_repository(notice.file, prefix)),
            "lines": {"begin": notice.line},
        },
    }


def _fingerprint(notice: Notice, seen: Counter[str]) -> str:
    """Return the same name in every run: GitLab recognises known findings by it alone."""
    # a leak that several tests show keeps its name when another test comes first
    cause = cause_name(notice.group) if notice.group is not None else ""
    whose = "" if notice.rule == "leaking" or cause else notice.nodeid
    key = f"{notice.rule}\0{whose}\0{cause or notice.name}"
    seen[key] += 1
    return hashlib.sha256(f"{key}\0{seen[key]}".encode("utf-8", "replace")).hexdigest()


def _severity(notice: Notice) -> str:
    if notice.level == "error":
        return "major"
    return "info" if notice.rule in UNDECIDED_RULES else "minor"
