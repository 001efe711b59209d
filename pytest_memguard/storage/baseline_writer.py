"""Writes the text of a baseline file: one test on each line, sorted."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Final

from pytest_memguard.formats import Json
from pytest_memguard.model.baselines import (
    Baseline,
    BaselineEntry,
    EnvironmentKey,
    StageEntry,
)
from pytest_memguard.model.metrics import metric_named
from pytest_memguard.sizes import KIB

FORMAT: Final = 2
KEY_FIELDS: Final = ("system", "machine", "implementation", "python", "metric")


def dump_baseline(baseline: Baseline) -> Iterator[str]:
    """Yield the text of a baseline, test by test.

    Sizes are in KiB, rounded up; other metrics are in their unit. What is not set is left out.
    """
    yield f'{{"format": {FORMAT}, "environments": ['
    separator = "\n"
    for environment, entries in sorted(
        baseline.environments.items(), key=lambda item: _order(item[0])
    ):
        if entries:
            metric = metric_named(environment.metric)
            names = {name: getattr(environment, name) for name in KEY_FIELDS}
            unit = {} if metric.is_memory else {"unit": metric.unit}
            flags = {
                name: True
                for name in ("measured_cold", "measured_together")
                if environment in getattr(baseline, name)
            }
            known = baseline.loaded.get(environment)
            loaded = "" if known is None else f'\n   "loaded": {json.dumps(sorted(known))},'
            rows = [
                [one.holder, _scaled(one.size)] for one in baseline.filled.get(environment, ())
            ]
            filled = f'\n   "filled": {json.dumps(rows)},' if rows else ""
            head = json.dumps(names | unit | flags)
            yield f'{separator}  {head[:-1]},{loaded}{filled} "tests": {{\n'
            yield from _dump_entries(entries, KIB if metric.is_memory else 1)
            yield "\n  }}"
            separator = ",\n"
    yield "\n\n]}\n" if separator == "\n" else "\n]}\n"  # an empty line for no environments


def _dump_entries(entries: Mapping[str, BaselineEntry], scale: int) -> Iterator[str]:
    separator = ""
    for nodeid in sorted(entries):
        entry = json.dumps(_entry_to_json(entries[nodeid], scale))
        yield f"{separator}   {json.dumps(nodeid)}: {entry}"
        separator = ",\n"


def _order(key: EnvironmentKey) -> tuple[object, ...]:
    version = tuple(int(part) if part.isdecimal() else 0 for part in key.python.split("."))
    return (
        key.system,
        key.machine,
        key.implementation,
        version,
        key.metric,
    )


def _scaled(size: int, scale: int = KIB) -> int:
    return -(-size // scale)


def _entry_to_json(entry: BaselineEntry, scale: int) -> Json:
    unit = "_kib" if scale == KIB else ""
    data: Json = {f"peak{unit}": _scaled(entry.peak, scale)}
    optional = {
        f"ceiling{unit}": _scaled(entry.ceiling, scale),
        f"growth{unit}": _scaled(entry.growth, scale),
        f"spread{unit}": _scaled(entry.spread, scale),
        "readings": entry.readings if entry.readings > 1 else 0,
        "imports": entry.imports,
        f"cold{unit}": _scaled(entry.cold, scale),
        "fills": [[fill.holder, _scaled(fill.size)] for fill in entry.fills],
        "stages": [_stage_to_json(stage, scale) for stage in entry.stages],
        "lines": [[x.file, x.line, x.function, _scaled(x.size)] for x in entry.lines],
    }
    data.update({name: value for name, value in optional.items() if value})
    if entry.leak is not None:
        data["leak_bytes_per_call"] = entry.leak
    return data


def _stage_to_json(stage: StageEntry, scale: int) -> list[object]:
    top = [_scaled(stage.ceiling, scale)] if stage.ceiling else []
    return [stage.path, _scaled(stage.peak, scale), _scaled(stage.delta, scale), *top]
