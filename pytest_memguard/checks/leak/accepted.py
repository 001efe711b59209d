"""The leaks of a run as they are kept, so that they fail no later run."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_memguard.model.leaks import KnownLeak
    from pytest_memguard.model.results import Outcome


def accepted_leaks(outcomes: Iterable[Outcome]) -> dict[str, KnownLeak]:
    """The leaks of a run, by fingerprint, as they are kept."""
    from pytest_memguard.model.leaks import KnownLeak

    found: dict[str, KnownLeak] = {}
    for outcome in outcomes:
        if outcome.leak is None or outcome.leak.verdict.state != "leaking":
            continue
        for part in outcome.leak.parts:
            diagnosis = part.diagnosis
            if diagnosis is None or not diagnosis.fingerprint:
                continue
            line = diagnosis.lines[0] if diagnosis.lines else None
            leak = found.get(diagnosis.fingerprint) or KnownLeak(
                fingerprint=diagnosis.fingerprint,
                holder=diagnosis.path.holder if diagnosis.path is not None else "",
                line=f"{line.file}: {line.function}" if line is not None else "",
            )
            found[diagnosis.fingerprint] = replace(leak, tests=(*leak.tests, outcome.nodeid))
    return found
