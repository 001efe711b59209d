"""Worse than the baseline or not: one reading against what was, and all of them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from pytest_memguard.baselines import (
    Baseline,
    Change,
    ChangeKind,
    Entry,
    FailRule,
    Place,
    StageEntry,
)
from pytest_memguard.judge import change_words as words
from pytest_memguard.judge.grown import grown_lines
from pytest_memguard.judge.noise import imports_may_explain, noise, room
from pytest_memguard.rules import about_stage


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pair:
    """Two numbers that are held against each other."""

    subject: str
    """What they are of."""
    before: int
    """Bytes on record."""
    before_top: int
    """Bytes the truth on record cannot exceed."""
    now: int
    """Bytes now."""
    now_top: int
    """Bytes the truth cannot exceed now."""
    noise: int
    """Bytes that noise explains."""
    lowest: int
    """The lowest reading on record."""


def judge_entry(
    nodeid: str,
    place: Place,
    before: Entry | None,
    now: Entry,
    rules: Sequence[FailRule],
) -> tuple[Change, ...]:
    """Compare a reading with the baseline.

    Args:
        nodeid: the test.
        place: where both were measured.
        before: its entry; ``None`` if there is none.
        now: the reading.
        rules: how much worse is too much.

    Returns:
        A change of the peak; then one for each other thing that a rule is about.
    """
    if before is None:
        text = words.new(place.metric, now)
        return (Change(kind="new", nodeid=nodeid, place=place, now=now.peak, text=text),)
    test = _Test(nodeid=nodeid, place=place, was=before, is_=now)
    changes = [test.peak([rule for rule in rules if rule.kind == "peak"])]
    if place.metric == "rss":
        growth = [rule for rule in rules if rule.kind == "growth"]
        changes += [test.growth(growth)] if growth else []
        leak = [rule for rule in rules if rule.kind == "leak"]
        changes += test.leak(leak) if leak else []
    changes += test.stages([rule for rule in rules if rule.kind == "stage"])
    return tuple(changes)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Test:
    """What is compared for one test."""

    nodeid: str
    """The test."""
    place: Place
    """Where."""
    was: Entry
    """On record."""
    is_: Entry
    """Now."""

    def peak(self, rules: Sequence[FailRule]) -> Change:
        """Compare the peaks."""
        was, now = self.was, self.is_
        pair = _Pair(
            subject="peak",
            before=was.peak,
            before_top=max(was.peak, was.ceiling),
            now=now.peak,
            now_top=max(now.peak, now.ceiling),
            noise=noise(was, self.place.metric),
            lowest=was.peak - was.spread,
        )
        return self._judge(pair, rules)

    def growth(self, rules: Sequence[FailRule]) -> Change:
        """Compare what the test left behind."""
        was, now = self.was.growth, self.is_.growth
        pair = _Pair(
            subject="growth",
            before=was,
            before_top=was,
            now=now,
            now_top=now,
            noise=noise(self.was, self.place.metric),
            lowest=was,
        )
        return self._judge(pair, rules)

    def stages(self, rules: Sequence[FailRule]) -> list[Change]:
        """Compare the stages that rules are about."""
        now = {stage.path: stage for stage in self.is_.stages}
        was = {stage.path: stage for stage in self.was.stages}
        changes = []
        for path in {**now, **was}:
            about = [rule for rule in rules if about_stage(rule, path)]
            if about:
                changes.append(self._stage(path, was.get(path), now.get(path), about))
        return changes

    def _stage(
        self,
        path: str,
        was: StageEntry | None,
        now: StageEntry | None,
        rules: Sequence[FailRule],
    ) -> Change:
        subject = f"stage {path}"
        if was is None or now is None:
            kind: ChangeKind = "new" if was is None else "gone"
            return self._change(
                kind,
                subject,
                before=0 if was is None else was.peak,
                now=0 if now is None else now.peak,
                text=words.stage_is(kind, path),
            )
        pair = _Pair(
            subject=subject,
            before=was.peak,
            before_top=max(was.peak, was.ceiling),
            now=now.peak,
            now_top=max(now.peak, now.ceiling),
            noise=noise(self.was, self.place.metric),
            lowest=was.peak - self.was.spread,
        )
        return self._judge(pair, rules)

    def leak(self, rules: Sequence[FailRule]) -> list[Change]:
        """Compare the bytes a call leaves behind."""
        was, now = self.was.leak, self.is_.leak
        if now is None:
            if was is None:
                return []
            return [
                self._change("unsure", "leak", before=round(was), text=words.LEAK_NOT_CHECKED)
            ]
        if was is None:
            return [self._change("new", "leak", now=round(now), text=words.LEAK_NEW)]
        pair = _Pair(
            subject="leak",
            before=round(was),
            before_top=round(was),
            now=round(now),
            now_top=round(now),
            noise=0,
            lowest=round(was),
        )
        return [self._judge(pair, rules)]

    def _judge(self, pair: _Pair, rules: Sequence[FailRule]) -> Change:
        """Hold two numbers against each other, by the strictest rule."""
        base = max(pair.before_top, 0)
        rule = min(rules, key=lambda rule: room(rule, base), default=None)
        if rule is None:
            return self._change("same", pair.subject, before=pair.before, now=pair.now)
        margin = max(room(rule, base), pair.noise)
        limit = pair.before_top + margin
        kind = self._kind(pair, limit, margin)
        change = self._change(
            kind, pair.subject, before=pair.before, now=pair.now, allowed=limit, rule=rule
        )
        by_noise = pair.noise > room(rule, base)
        text = words.sentence(change, self.was, self.is_, by_noise=by_noise)
        lines = grown_lines(self.was.lines, self.is_.lines) if kind == "regression" else ()
        return self._change(
            kind,
            pair.subject,
            before=pair.before,
            now=pair.now,
            allowed=limit,
            rule=rule,
            text=text,
            lines=lines,
        )

    def _kind(self, pair: _Pair, limit: int, margin: int) -> ChangeKind:
        of_memory = pair.subject != "leak"
        if pair.now > limit:
            growth = pair.now - pair.before
            if of_memory and imports_may_explain(self.was, self.is_, growth):
                return "unsure"
            return "regression"
        if pair.now_top > limit:
            return "unsure"
        cold = of_memory and self.was.imports > self.is_.imports
        if pair.now_top < pair.lowest - margin and not cold:
            return "improvement"
        return "same"

    def _change(self, kind: ChangeKind, subject: str, **rest: object) -> Change:
        return Change(
            kind=kind,
            nodeid=self.nodeid,
            place=self.place,
            subject=subject,
            **rest,  # type: ignore[arg-type]
        )


def compare(
    old: Baseline,
    new: Baseline,
    rules: Sequence[FailRule],
    present: Collection[str] = (),
) -> tuple[Change, ...]:
    """Compare two sets of numbers.

    Args:
        old: the baseline.
        new: the readings.
        rules: how much worse is too much.
        present: tests that are there, though they have no new reading.

    Returns:
        The changes of every test in a place that both have, by node id; those that are new,
        and those that are gone. A test in a place that only ``new`` has is new.
    """
    changes: list[Change] = []
    for place, entries in new.places.items():
        stored = old.places.get(place, {})
        for nodeid, now in entries.items():
            changes += judge_entry(nodeid, place, stored.get(nodeid), now, rules)
        changes += [
            Change(
                kind="gone",
                nodeid=nodeid,
                place=place,
                before=entry.peak,
                text=words.GONE,
            )
            for nodeid, entry in stored.items()
            if nodeid not in entries and nodeid not in present
        ]
    return tuple(sorted(changes, key=lambda change: change.nodeid))
