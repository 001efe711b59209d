"""Parses the rules of a comparison: peak:10%+2MB, growth:1MB, leak:100B."""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Final, get_args

from pytest_memguard.errors import ConfigError, quoted
from pytest_memguard.model.baselines import FailRule, RuleKind
from pytest_memguard.sizes import MIB
from pytest_memguard.units import is_whole, parse_bytes

_PERCENT: Final = re.compile(r"(?P<number>\d+(?:\.\d*)?|\.\d+)\s*%", re.ASCII)
_MOST_PERCENT: Final = 1_000_000
_HINT: Final = (
    "write peak:10%, peak:5MB, peak:10%+2MB (both must be exceeded), "
    "growth:..., stage:NAME:... or leak:... (bytes per call)"
)

DEFAULT: Final = FailRule(kind="peak", share=0.1, floor=2 * MIB, text="peak:10%+2MB")
"""The rule on the peak if the user sets none."""


def parse_rule(text: object, where: str) -> FailRule:
    """Parse a rule.

    Args:
        text: what the user wrote.
        where: where it was written: "--mem-fail-on", "the marker".

    Raises:
        ConfigError: if it is not a rule, in one sentence without ``where``.
    """
    if not isinstance(text, str):
        raise _problem(text, "it is not a text")
    if not text.strip():
        raise _problem(text, "it is empty")
    kind, colon, rest = text.strip().partition(":")
    stage = ""
    if kind == "stage":
        stage, colon, rest = (part.strip() for part in rest.rpartition(":"))
        if not stage:
            raise _problem(text, "it names no stage")
        if "*" in stage and stage != "*":
            raise _problem(text, f"{quoted(stage)} is no name, and only * alone is every stage")
    known = next((name for name in get_args(RuleKind) if name == kind), None)
    if known is None:
        raise _problem(text, f"{quoted(kind)} is nothing that is compared")
    if not colon:
        raise _problem(text, "it has no amount")
    share, floor = _amount(text, rest, bare=known == "leak")
    return FailRule(
        kind=known, share=share, floor=floor, stage=stage, where=where, text=text.strip()
    )


def parse_rules(texts: Sequence[object], where: str) -> tuple[FailRule, ...]:
    """Parse several rules.

    Args:
        texts: what the user wrote.
        where: where they were written.

    Raises:
        ConfigError: with a sentence for each text that is not a rule.
    """
    rules: list[FailRule] = []
    problems: list[str] = []
    for text in texts:
        try:
            rules.append(parse_rule(text, where))
        except ConfigError as error:  # every problem is reported at once
            problems += error.problems
    if problems:
        raise ConfigError(*problems)
    return tuple(rules)


def closest(*levels: Sequence[FailRule]) -> tuple[FailRule, ...]:
    """Return the rules that apply: for each number, those of the closest source.

    Args:
        levels: the rules of each source, the closest source first. Several rules of one source
            on the same number all apply.

    Returns:
        The rules; the default is one of them if no source has a rule on the peak.
    """
    chosen: dict[tuple[str, str], Sequence[FailRule]] = {}
    for level in (*levels, (DEFAULT,)):
        found: dict[tuple[str, str], list[FailRule]] = {}
        for rule in level:
            found.setdefault((rule.kind, rule.stage), []).append(rule)
        chosen = {**found, **chosen}
    return tuple(rule for rules in chosen.values() for rule in rules)


def about_stage(rule: FailRule, path: str) -> bool:
    """Return whether a rule applies to the stage with this path; ``*`` is every stage."""
    if rule.kind != "stage":
        return False
    return rule.stage in {"*", path} or path.endswith(f"/{rule.stage}")


def _amount(text: str, written: str, *, bare: bool) -> tuple[float, int]:
    """Return share and bytes of an amount; ``bare`` numbers are bytes."""
    share: float | None = None
    floor: int | None = None
    for part in written.split("+"):
        percent = _PERCENT.fullmatch(part.strip())
        if percent is not None and share is None:
            share = _share(text, percent["number"])
        elif percent is None and floor is None:
            floor = _bytes(text, part.strip(), bare=bare)
        else:
            kind = "bytes" if percent is None else "a share"
            raise _problem(text, f"it has {kind} twice")
    return share or 0.0, floor or 0


def _share(text: str, number: str) -> float:
    percent = Decimal(number)
    if percent > _MOST_PERCENT:
        raise _problem(text, f"more than {_MOST_PERCENT}% is no limit")
    return float(percent / 100)


def _bytes(text: str, part: str, *, bare: bool) -> int:
    if not part:
        raise _problem(text, "it has no amount")
    if not bare and (part[-1] == "." or is_whole(part[-1])):
        raise _problem(text, f"{quoted(part)} is neither a share nor a size with a unit")
    try:
        return parse_bytes(part)
    except ConfigError:
        why = f"{quoted(part)} is neither a share nor a size from 1 byte to 8 EiB"
        raise _problem(text, why) from None


def _problem(text: object, why: str) -> ConfigError:
    return ConfigError(f"{quoted(text)} is no rule, {why}: {_HINT}")
