"""Worse than the baseline or not: one reading against what was, and all of them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from pytest_memguard.baselines import (
    Baseline,
    Change,
    ChangeKind,
    Entry,
    FailRule,
    Place,
    RuleKind,
    StageEntry,
)
from pytest_memguard.judge import change_words as words
from pytest_memguard.judge.grown import grown_lines
from pytest_memguard.judge.noise import (
    imports_may_explain,
    noise,
    noise_of_growth,
    room,
)
from pytest_memguard.rules import about_stage


@dataclass(slots=True, kw_only=True)  # not frozen: one is made for every test
class _Pair:
    """Two numbers that are held against each other."""

    subject: RuleKind
    """What they are of."""
    stage: str = ""
    """Which stage, if they are of one."""
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
    return tuple(_judged(nodeid, place, before, now, _by_kind(rules)))


def _by_kind(rules: Sequence[FailRule]) -> dict[RuleKind, list[FailRule]]:
    found: dict[RuleKind, list[FailRule]] = {}
    for rule in rules:
        found.setdefault(rule.kind, []).append(rule)
    return found


def _judged(
    nodeid: str,
    place: Place,
    before: Entry | None,
    now: Entry,
    rules: Mapping[RuleKind, Sequence[FailRule]],
) -> Iterator[Change]:
    if before is None:
        text = words.new(place.metric, now)
        yield Change(kind="new", nodeid=nodeid, place=place, now=now.peak, text=text)
        return
    test = _Test(nodeid=nodeid, place=place, was=before, is_=now)
    yield test.peak(rules.get("peak", ()))
    if place.metric == "rss" and "growth" in rules:
        yield test.growth(rules["growth"])
    if place.metric == "rss" and "leak" in rules:
        yield from test.leak(rules["leak"])
    if "stage" in rules:
        yield from test.stages(rules["stage"])


@dataclass(slots=True, kw_only=True)  # likewise
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
        # less than nothing is what others had left, and no promise to do so again
        was, now = max(0, self.was.growth), max(0, self.is_.growth)
        pair = _Pair(
            subject="growth",
            before=was,
            before_top=was,
            now=now,
            now_top=now,
            noise=noise_of_growth(self.was),
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
        if was is None or now is None:
            kind: ChangeKind = "new" if was is None else "gone"
            return self._change(
                kind,
                "stage",
                stage=path,
                before=0 if was is None else was.peak,
                now=0 if now is None else now.peak,
                text=words.stage_is(kind, path),
            )
        pair = _Pair(
            subject="stage",
            stage=path,
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
        if not rules:
            return self._change(
                "same", pair.subject, stage=pair.stage, before=pair.before, now=pair.now
            )
        rule = min(rules, key=lambda one: room(one, pair.before_top))
        by_rule = room(rule, pair.before_top)
        margin = max(by_rule, pair.noise)
        limit = pair.before_top + margin
        kind = self._kind(pair, limit, margin)
        change = self._change(
            kind,
            pair.subject,
            stage=pair.stage,
            before=pair.before,
            now=pair.now,
            allowed=limit,
            rule=rule,
        )
        if kind == "same" and self.was.imports <= self.is_.imports:
            return change
        text = words.sentence(change, self.was, self.is_, by_noise=pair.noise > by_rule)
        lines = grown_lines(self.was.lines, self.is_.lines) if kind == "regression" else ()
        return replace(change, text=text, lines=lines)

    def _kind(self, pair: _Pair, limit: int, margin: int) -> ChangeKind:
        of_memory = pair.subject != "leak"
        if pair.now > limit:
            growth = pair.now - pair.before
            if of_memory and imports_may_explain(self.was, self.is_, growth):
                return "unsure"
            return "regression"
        if pair.now_top > limit or pair.now > pair.before + margin:
            return "unsure"  # one of the two is not exact
        cold = of_memory and self.was.imports > self.is_.imports
        if pair.now_top < pair.lowest - margin and not cold:
            return "improvement"
        return "same"

    def _change(self, kind: ChangeKind, subject: RuleKind, **rest: object) -> Change:
        return Change(
            kind=kind,
            nodeid=self.nodeid,
            place=self.place,
            subject=subject,
            **rest,  # type: ignore[arg-type]
        )


def gone_change(nodeid: str, place: Place, before: Entry) -> Change:
    """The change of a test that is on record and no longer exists.

    Args:
        nodeid: the test.
        place: where it was measured.
        before: its entry.
    """
    return Change(kind="gone", nodeid=nodeid, place=place, before=before.peak, text=words.GONE)


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
    by_kind = _by_kind(rules)
    for place, entries in new.places.items():
        stored = old.places.get(place, {})
        for nodeid, now in entries.items():
            changes += _judged(nodeid, place, stored.get(nodeid), now, by_kind)
        changes += [
            gone_change(nodeid, place, entry)
            for nodeid, entry in stored.items()
            if nodeid not in entries and nodeid not in present
        ]
    return tuple(sorted(changes, key=lambda change: change.nodeid))
