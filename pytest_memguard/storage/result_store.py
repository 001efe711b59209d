"""Keeps the outcomes of many tests in little memory: plain ones are rows of numbers."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from typing import Final

from pytest_memguard.model.briefs import Brief, Key, brief_of
from pytest_memguard.model.measurements import (
    PHASES,
    Budget,
    MarkedPhaseNumbers,
    Method,
    Peak,
    PhaseReading,
)
from pytest_memguard.model.metrics import RSS
from pytest_memguard.model.results import Outcome, Outcomes

_RESULTS: Final = ("passed", "failed", "skipped", "xfailed", "xpassed", "error")
_METHODS: Final[tuple[Method, ...]] = (
    "kernel mark",
    "sampled",
    "memray",
    "memray estimate",
    "tracemalloc",
)
_PER_PHASE: Final = 5  # level, growth, peak, upper bound, method; level -1: it did not run
_PHASES_AT: Final = range(0, len(PHASES) * _PER_PHASE, _PER_PHASE)
_OWN: Final = 3  # line, result, modules imported
_PER_ROW: Final = _OWN + _PER_PHASE * len(PHASES)
_NO_NUMBERS: Final = array("q", [-1] * _PER_ROW)
_NO_SECONDS: Final = array("d", [0.0] * (len(PHASES) + 1))
_BY_MARK: Final = _METHODS.index("kernel mark")


class ResultStore:
    """Keeps one outcome per test and process: a rerun replaces the one before.

    A plain test (resident memory only, nothing to say) takes about 250 bytes.
    """

    def __init__(self) -> None:
        self._rows: dict[Key, int] = {}
        self._numbers = array("q")
        self._seconds = array("d")
        self._texts: list[tuple[str, str, tuple[Budget, ...]]] = []
        self._shared: dict[object, object] = {}
        self._rich: dict[int, Outcome] = {}

    def __len__(self) -> int:
        return len(self._rows)

    def add(self, outcome: Outcome) -> None:
        """Keep an outcome."""
        # one process runs a test once, or again; another may run it too (--dist each)
        key = (outcome.worker, outcome.nodeid) if outcome.worker else outcome.nodeid
        row = self._row(key)
        if _is_plain(outcome):
            self._write(row, outcome)
        else:
            self._rich[row] = outcome

    def add_plain(
        self,
        nodeid: str,
        place: tuple[str, int],
        result: str,
        imports: int,
        overhead: float,
        phases: Sequence[MarkedPhaseNumbers],
    ) -> None:
        """Keep what the high-water mark has shown of a test, if that is all there is.

        Args:
            nodeid: pytest's name for the test.
            place: its file and line.
            result: what became of it.
            imports: modules that its call has loaded.
            overhead: seconds that measuring took.
            phases: those that were measured.
        """
        row = self._row(nodeid)
        self._texts[row] = self._share((place[0], "", ()))  # type: ignore[call-overload]
        numbers, seconds = [place[1], _RESULTS.index(result), imports], [overhead]
        ended = len(phases) == len(PHASES)
        by_name = phases if ended else _in_all_phases(phases)
        for _, lasted, level, growth, rise, high in by_name:
            numbers += (level, growth, rise, high, _BY_MARK)
            seconds.append(lasted)
        self._set(row, numbers, seconds)

    def _row(self, key: Key) -> int:
        """The number of a test's row, which is made if there is none."""
        row = self._rows.setdefault(key, len(self._rows))
        if row == len(self._texts):
            self._texts.append(("", "", ()))
            self._numbers.extend(_NO_NUMBERS)
            self._seconds.extend(_NO_SECONDS)
        elif row in self._rich:
            del self._rich[row]
        return row

    def __iter__(self) -> Iterator[Outcome]:
        for key, row in self._rows.items():
            yield self._outcome(key, row)

    def by_name(self) -> Outcomes:
        """The outcomes of now, sorted by node id; each is made when it is read."""
        return _ByName(self, sorted(self._rows, key=_nodeid))

    def read(self, keys: Sequence[Key]) -> Iterator[Outcome]:
        """Some of the outcomes.

        Args:
            keys: which, in the order wanted.
        """
        return (self._outcome(key, self._rows[key]) for key in keys)

    def briefs(self) -> Iterator[Brief]:
        """What totals and tables need of each outcome."""
        for key, row in self._rows.items():
            rich = self._rich.get(row)
            yield brief_of(rich) if rich is not None else self._brief(key, row)

    def detailed(self) -> Iterator[Outcome]:
        """The outcomes that are not plain."""
        return (self._rich[row] for row in sorted(self._rich))

    def _outcome(self, key: Key, row: int) -> Outcome:
        rich = self._rich.get(row)
        return rich if rich is not None else self._read(_nodeid(key), row)

    def _brief(self, key: Key, row: int) -> Brief:
        """What is needed of a plain outcome, read from its row."""
        first = row * _PER_ROW + _OWN
        numbers = self._numbers[first : first + len(PHASES) * _PER_PHASE].tolist()
        overhead = self._seconds[row * (len(PHASES) + 1)]
        worker, nodeid = ("", key) if isinstance(key, str) else key
        level, _, setup, _, _, before, _, call, _, _, after, growth, teardown, _, _ = numbers
        if level >= 0 and before >= 0 and after >= 0:  # most have run whole: without a loop
            highest = max(level + setup, before + call, after + teardown)
            largest, end = max(setup, call, teardown), after + growth
            return Brief(nodeid, worker, overhead, call, largest, level, end, highest, key)
        start, end, highest, largest = None, 0, 0, 0
        for at in _PHASES_AT:
            level, value = numbers[at], numbers[at + 2]
            if level >= 0:
                start = level if start is None else start
                end = level + numbers[at + 1]
                highest = max(highest, level + value)
                largest = max(largest, value)
        peak = largest if start is not None else None
        if before >= 0:  # the call has run
            peak = call
        return Brief(nodeid, worker, overhead, peak, largest, start, end, highest, key)

    def _share(self, value: object) -> object:
        return self._shared.setdefault(value, value)

    def _write(self, row: int, outcome: Outcome) -> None:
        texts = (outcome.file, outcome.worker, outcome.budgets)
        self._texts[row] = self._share(texts)  # type: ignore[call-overload]
        numbers = [outcome.line, _RESULTS.index(outcome.result), outcome.imports]
        seconds = [outcome.overhead]
        for name in PHASES:
            phase = outcome.phase(name)
            peak = phase.peak() if phase is not None else None
            if phase is None or peak is None:
                numbers += [-1, 0, 0, 0, 0]
                seconds.append(0.0)
            else:
                method = _METHODS.index(peak.method)
                numbers += [phase.level, phase.growth, peak.value, peak.high, method]
                seconds.append(phase.seconds)
        self._set(row, numbers, seconds)

    def _set(self, row: int, numbers: Sequence[int], seconds: Sequence[float]) -> None:
        self._numbers[row * _PER_ROW : (row + 1) * _PER_ROW] = array("q", numbers)
        start = row * (len(PHASES) + 1)
        self._seconds[start : start + len(PHASES) + 1] = array("d", seconds)

    def _read(self, nodeid: str, row: int) -> Outcome:
        file, worker, budgets = self._texts[row]
        numbers = self._numbers[row * _PER_ROW : (row + 1) * _PER_ROW]
        start = row * (len(PHASES) + 1)
        seconds = self._seconds[start : start + len(PHASES) + 1]
        phases = []
        for index, name in enumerate(PHASES):
            at = _OWN + index * _PER_PHASE
            level, growth, value, high, method = numbers[at : at + _PER_PHASE]
            if level >= 0:
                peak = Peak(metric=RSS.name, value=value, high=high, method=_METHODS[method])
                phases.append(
                    PhaseReading(
                        name=name,
                        seconds=seconds[index + 1],
                        level=level,
                        growth=growth,
                        peaks=(peak,),
                    )
                )
        return Outcome(
            nodeid=nodeid,
            file=file,
            line=numbers[0],
            result=_RESULTS[numbers[1]],
            worker=worker,
            phases=tuple(phases),
            budgets=budgets,
            overhead=seconds[0],
            imports=numbers[2],
        )


class _ByName:
    """Outcomes in the order of some keys.

    Args:
        store: has them.
        keys: the order.
    """

    def __init__(self, store: ResultStore, keys: Sequence[Key]) -> None:
        self._results = store
        self._keys = keys

    def __len__(self) -> int:
        return len(self._keys)

    def __iter__(self) -> Iterator[Outcome]:
        return self._results.read(self._keys)


def _nodeid(key: Key) -> str:
    return key if isinstance(key, str) else key[1]


def _in_all_phases(phases: Sequence[MarkedPhaseNumbers]) -> list[MarkedPhaseNumbers]:
    """Every phase, with numbers that mean that it did not run where it did not."""
    known = {numbers[0]: numbers for numbers in phases}
    return [known.get(name, (name, 0.0, -1, 0, 0, 0)) for name in PHASES]


def _is_plain(outcome: Outcome) -> bool:
    details = (outcome.stages, outcome.findings, outcome.notes, outcome.cold, outcome.death)
    of_leaks = (outcome.leak, outcome.leak_skipped)
    return (
        not any(details)
        and not any(of_leaks)
        and all(
            len(phase.peaks) == 1
            and phase.peaks[0].metric == RSS.name
            and phase.peaks[0].unseen == 0
            for phase in outcome.phases
        )
    )
