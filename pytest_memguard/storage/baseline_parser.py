"""Parses the text of a baseline file, with an error that names the line."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from math import inf
from typing import Any, Final, NoReturn

from pytest_memguard.errors import ConfigError
from pytest_memguard.formats import Json, is_newer, other_format
from pytest_memguard.model.baselines import (
    Baseline,
    BaselineEntry,
    EnvironmentKey,
    Fill,
    LineEntry,
    StageEntry,
)
from pytest_memguard.model.metrics import remember_unit
from pytest_memguard.sizes import KIB
from pytest_memguard.storage.baseline_writer import FORMAT, KEY_FIELDS

# 1: first format.
# 2: measured_cold, measured_together, loaded and filled, and for a test cold and fills.
_FORMATS: Final = range(1, FORMAT + 1)

_MEND: Final = "mend it or move it away"
_CONFLICT: Final = re.compile(r"^(?:<{7}|={7}|>{7})", re.MULTILINE)


class _Wrong(Exception):  # noqa: N818  never leaves this module
    """What is wrong with a file, and the text in it to look for."""

    def __init__(
        self, problem: str, key: str = "", skip: int = 0, *, twice: bool = False
    ) -> None:
        self.problem = problem
        self.key = key
        self.skip = skip
        self.twice = twice
        super().__init__(problem)


def parse_baseline(text: str, source: str) -> Baseline:
    """Return a baseline from its text.

    Args:
        text: the content of the file.
        source: the file's name, for messages.

    Raises:
        ConfigError: if the text is no baseline or has another format; the message names the
            line.
    """
    try:
        return _baseline(_load(text))
    except json.JSONDecodeError as error:
        cut = "" if text.rstrip().endswith("}") else "it is cut off: "
        msg = f"{source}, line {error.lineno}: {cut}{error.msg}; {_MEND}"
    except RecursionError:
        msg = f"{source} is no baseline; {_MEND}"
    except ValueError as error:  # a number of thousands of digits
        msg = f"{source} is no baseline ({error}); {_MEND}"
    except _Wrong as error:
        error = _newer(text) or error
        line = _line_of(text, error)
        where = f"{source}, line {line}" if line else source
        msg = f"{where}: {error.problem}"
    raise ConfigError(msg)


def _load(text: str) -> object:
    conflict = _CONFLICT.search(text)
    if conflict is not None:
        msg = f"it holds an unresolved merge conflict; resolve it, or {_MEND}"
        raise _Wrong(msg, conflict[0])

    def once(pairs: list[tuple[str, Any]]) -> Json:
        data = dict(pairs)
        if len(data) < len(pairs):
            names = [name for name, _ in pairs]
            double = next(name for name in names if names.count(name) > 1)
            msg = f"{double!r} is there twice; keep one of them"
            raise _Wrong(msg, f"{json.dumps(double)}:", 1, twice=True)
        return data

    return json.loads(text, object_pairs_hook=once, parse_constant=_no_number)


def _no_number(name: str) -> NoReturn:
    msg = f"{name} is no number that is written here; {_MEND}"
    raise _Wrong(msg, name)


def _newer(text: str) -> _Wrong | None:
    """Return the error for a file of a newer format, whatever else is wrong with it."""
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return _format(data["format"]) if is_newer(data, FORMAT) else None


def _format(number: object) -> _Wrong:
    return _Wrong(f"it has {other_format(number, FORMAT)}", '"format"')


def _baseline(data: object) -> Baseline:
    if not isinstance(data, Mapping) or "format" not in data or "environments" not in data:
        msg = f"it is no file that --mem-save wrote; {_MEND}"
        raise _Wrong(msg)
    number = data["format"]
    if type(number) is not int or number not in _FORMATS:
        raise _format(number)
    if not isinstance(data["environments"], list):
        msg = f"environments is no list; {_MEND}"
        raise _Wrong(msg, '"environments"')
    environments: dict[EnvironmentKey, dict[str, BaselineEntry]] = {}
    measured_cold: set[EnvironmentKey] = set()
    measured_together: set[EnvironmentKey] = set()
    loaded: dict[EnvironmentKey, frozenset[str]] = {}
    filled: dict[EnvironmentKey, tuple[Fill, ...]] = {}
    met: dict[str, int] = {}
    shared: dict[BaselineEntry, BaselineEntry] = {}
    for index, part in enumerate(data["environments"]):
        environment, tests = _environment(part, index)
        scale = _scale(part, environment, index)
        if environment in environments:
            msg = f"environment {index + 1} is one that came before; make one of the two"
            raise _Wrong(msg, '"system"', index)
        if _is_true(part, "measured_cold", index):
            measured_cold.add(environment)
        if _is_true(part, "measured_together", index):
            measured_together.add(environment)
        if "loaded" in part:
            loaded[environment] = _loaded(part["loaded"], index)
        if "filled" in part:
            filled[environment] = _filled(part["filled"], index)
        # many tests have the same numbers, which are rounded: one entry for all of these
        environments[environment] = {
            nodeid: shared.setdefault(entry, entry)
            for nodeid, entry in _entries(tests, met, scale)
        }
    return Baseline(
        environments=environments,
        measured_cold=frozenset(measured_cold),
        loaded=loaded,
        filled=filled,
        measured_together=frozenset(measured_together),
    )


def _environment(part: object, index: int) -> tuple[EnvironmentKey, Json]:
    if not isinstance(part, dict):
        msg = f"environment {index + 1} is no object; {_MEND}"
        raise _Wrong(msg, '"environments"')
    texts = {name: part.get(name) for name in KEY_FIELDS}
    for name, text in texts.items():
        if not isinstance(text, str):
            msg = f"environment {index + 1} has no {name}; {_MEND}"
            raise _Wrong(msg, '"system"', index)
    tests = part.get("tests")
    if not isinstance(tests, dict):
        msg = f"environment {index + 1} has no tests; {_MEND}"
        raise _Wrong(msg, '"system"', index)
    return EnvironmentKey(**{name: str(text) for name, text in texts.items()}), tests


def _is_true(part: Json, name: str, index: int) -> bool:
    value = part.get(name, False)
    if type(value) is not bool:
        msg = f"environment {index + 1} has {value!r:.40} for {name}; {_MEND}"
        raise _Wrong(msg, f'"{name}"')
    return value


def _loaded(value: object, index: int) -> frozenset[str]:
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        msg = f"environment {index + 1} has {value!r:.40} for loaded; {_MEND}"
        raise _Wrong(msg, '"loaded"')
    return frozenset(value)


def _filled(value: object, index: int) -> tuple[Fill, ...]:
    try:
        return tuple(map(_fill, value if isinstance(value, list) else [value]))
    except _Wrong as error:
        msg = f"environment {index + 1} has {value!r:.40} for filled; {_MEND}"
        raise _Wrong(msg, '"filled"') from error


def _scale(part: Json, environment: EnvironmentKey, index: int) -> int:
    """Return how many units of the metric a stored number stands for."""
    unit = part.get("unit")
    if unit is None:
        return KIB
    if not isinstance(unit, str) or not unit:
        msg = f"environment {index + 1} has {unit!r:.40} for a unit; {_MEND}"
        raise _Wrong(msg, '"unit"')
    remember_unit(environment.metric, unit)
    return 1


def _entries(
    tests: Json, met: dict[str, int], scale: int
) -> Iterator[tuple[str, BaselineEntry]]:
    """Yield entries by node id; ``met`` counts earlier ones, to find the line of an error."""
    for nodeid, data in tests.items():
        try:
            yield nodeid, _entry(data, scale)
        except _Wrong as wrong:
            msg = f"{wrong.problem} in the entry of {nodeid!r}; {_MEND}"
            raise _Wrong(msg, f"{json.dumps(nodeid)}:", met.get(nodeid, 0)) from None
        met[nodeid] = met.get(nodeid, 0) + 1


_SIZES: Final = frozenset({"peak", "ceiling", "growth", "spread", "cold"})
_KEYS: Final = frozenset(
    {"readings", "imports", "stages", "lines", "leak_bytes_per_call", "fills"}
)


def _entry(data: object, scale: int) -> BaselineEntry:
    if not isinstance(data, dict):
        msg = f"{data!r:.40} stands where numbers should be"
        raise _Wrong(msg)
    unit = "_kib" if scale == KIB else ""
    unknown = data.keys() - _KEYS - {f"{name}{unit}" for name in _SIZES}
    if unknown:
        msg = f"{min(unknown)!r} is no key of this format"
        raise _Wrong(msg)
    stages, lines, fills = (data.get(name, []) for name in ("stages", "lines", "fills"))
    if not all(isinstance(rows, list) for rows in (stages, lines, fills)):
        msg = "stages, lines or fills are no list"
        raise _Wrong(msg)
    leak = data.get("leak_bytes_per_call")
    if leak is not None and (type(leak) not in {int, float} or not 0 <= leak < inf):
        msg = f"leak_bytes_per_call is {leak!r:.40}"
        raise _Wrong(msg)
    return BaselineEntry(
        peak=_whole(data, f"peak{unit}", None) * scale,
        ceiling=_whole(data, f"ceiling{unit}") * scale,
        growth=_whole(data, f"growth{unit}", least=None) * scale,
        spread=_whole(data, f"spread{unit}") * scale,
        readings=_whole(data, "readings", 1, least=1),
        imports=_whole(data, "imports"),
        stages=tuple(_stage(stage, scale) for stage in stages),
        lines=tuple(map(_line, lines)),
        leak=None if leak is None else float(leak),
        cold=_whole(data, f"cold{unit}") * scale,
        fills=tuple(map(_fill, fills)),
    )


def _whole(data: Json, name: str, default: int | None = 0, least: int | None = 0) -> int:
    value = data.get(name, default)
    if name not in data and default is not None:
        return default
    if type(value) is not int or (least is not None and value < least):
        msg = f"{name} is {value!r:.40}" if name in data else f"there is no {name}"
        raise _Wrong(msg)
    return value


def _stage(data: object, scale: int) -> StageEntry:
    # plain comparisons of types: there are many of these
    if type(data) is list and len(data) in {3, 4} and type(data[0]) is str:
        _, peak, delta, ceiling = data if len(data) == 4 else (*data, 0)
        if type(peak) is type(delta) is type(ceiling) is int and peak >= 0 and ceiling >= 0:
            return StageEntry(
                path=data[0], peak=peak * scale, delta=delta * scale, ceiling=ceiling * scale
            )
    msg = f"{data!r:.40} is no stage (name, peak, what it added)"
    raise _Wrong(msg)


def _fill(data: object) -> Fill:
    match data:
        case [str(holder), int(size)] if size >= 0 and type(size) is int:
            return Fill(holder=holder, size=size * KIB)
        case _:
            msg = f"{data!r:.40} is no fill (holder, size)"
            raise _Wrong(msg)


def _line(data: object) -> LineEntry:
    match data:
        case [str(file), int(line), str(function), int(size)] if min(
            line, size
        ) >= 0 and bool not in map(type, data):
            return LineEntry(file=file, line=line, function=function, size=size * KIB)
        case _:
            msg = f"{data!r:.40} is no line (file, line, function, size)"
            raise _Wrong(msg)


def _line_of(text: str, wrong: _Wrong) -> int:
    """Return the number of the line with the error, from 1; 0 if it cannot be found."""
    if not wrong.key:
        return 0
    if wrong.twice:
        for number, line in enumerate(text.splitlines(), 1):
            if line.count(wrong.key) > 1:
                return number
    at = -1
    for _ in range(wrong.skip + 1):
        at = text.find(wrong.key, at + 1)
        if at < 0:
            return 0
    return text.count("\n", 0, at) + 1
