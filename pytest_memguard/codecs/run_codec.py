"""How runs and results of tests are stored, with the number of the format."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Final

from pytest_memguard.codecs.abort_codecs import ABORT_CODEC
from pytest_memguard.codecs.admission_codecs import PARALLEL_CODEC
from pytest_memguard.codecs.alert_codecs import ALERT_CODEC
from pytest_memguard.codecs.codec import Codec, FlatCodec, Key, ReadOnly, WrittenOnly
from pytest_memguard.codecs.death_codecs import DEATH_CODEC
from pytest_memguard.codecs.flight_codecs import LOST_CODEC
from pytest_memguard.codecs.forms import LIST, PAIRS, Many, Optional
from pytest_memguard.codecs.leak_codecs import LEAK_CODEC
from pytest_memguard.codecs.measurement_codecs import (
    BUDGET_CODEC,
    CAUSE_GROUP_CODEC,
    FILLS_CODEC,
    FINDING_CODEC,
    PEAK_CODEC,
    PHASE_CODEC,
    STAGE_CODEC,
)
from pytest_memguard.codecs.watch_reading_codecs import WATCH_READING_CODEC
from pytest_memguard.errors import ConfigError
from pytest_memguard.formats import Json, is_newer, other_format
from pytest_memguard.model.cause_groups import cause_groups
from pytest_memguard.model.metrics import remember_unit, units
from pytest_memguard.model.results import Environment, Gap, Outcome, Run, Totals

FORMAT: Final = 3
# 1: first format.
# 2: for a test cold and fills, and for what it is compared with cold_bytes.
# 3: for a run that was stopped memory_abort, for a lost worker alone; alerts; the death of a
#    test; causes of the run, and the cause of a finding; the rule unsure and the state
#    unclear are undecided; what a test has watched; for a peak own_thread_bytes.
_FORMATS: Final = range(1, FORMAT + 1)
_STRICT: Final = ("--mem-leak-strict", "--mem-strict")


_CAUSES: Final = Many(CAUSE_GROUP_CODEC)
_TOTALS_CODEC: Final = Codec(
    Totals,
    "worker",
    "tests",
    Key("start", "start_rss_bytes"),
    Key("end", "end_rss_bytes"),
    Key("highest", "highest_rss_bytes"),
    Key("overhead", "overhead_seconds"),
)
OUTCOME_CODEC: Final = Codec(
    Outcome,
    "nodeid",
    "file",
    "line",
    "result",
    "worker",
    WrittenOnly("growth_bytes", lambda outcome: outcome.growth),
    Key("phases", form=Many(PHASE_CODEC)),
    Key("stages", form=Many(STAGE_CODEC)),
    Key("budgets", form=Many(BUDGET_CODEC)),
    Key("findings", form=Many(FINDING_CODEC)),
    Key("notes", form=LIST),
    Key("overhead", "overhead_seconds"),
    Key("leak", form=Optional(LEAK_CODEC)),
    "leak_skipped",
    "imports",
    Key("cold", form=PEAK_CODEC, missing=None, sparse=True),
    Key("fills", form=FILLS_CODEC, missing=(), sparse=True),
    Key("death", form=DEATH_CODEC, missing=None, sparse=True),
    Key("watched", form=Many(WATCH_READING_CODEC), missing=(), sparse=True),
)


def _is_strict(settings: Json) -> bool:
    """Return whether one of these settings is on: its text is "True (setup.cfg)", say."""
    on = str(True)
    return any(settings.get(name, "").partition(" (")[0] == on for name in _STRICT)


_RUN_CODEC: Final = Codec(
    Run,
    WrittenOnly("format", lambda _: FORMAT),
    Key("environment", form=FlatCodec(Environment)),
    WrittenOnly("units", lambda _: units(), sparse=True),
    Key("settings", form=PAIRS),
    Key("gaps", form=Many(FlatCodec(Gap))),
    Key("totals", form=Many(_TOTALS_CODEC)),
    Key("lost", "lost_workers", Many(LOST_CODEC), missing=(), sparse=True),
    Key("abort", "memory_abort", ABORT_CODEC, missing=None, sparse=True),
    Key("alerts", form=Many(ALERT_CODEC), missing=(), sparse=True),
    WrittenOnly("causes", lambda run: _CAUSES.write(cause_groups(run.outcomes)), sparse=True),
    Key("parallel", form=PARALLEL_CODEC, missing=None, sparse=True),
    WrittenOnly("tests", lambda _: []),  # `run_in_pieces` writes them
    ReadOnly("outcomes", lambda run: Many(OUTCOME_CODEC).read(run["tests"])),
    ReadOnly("leak_strict", lambda run: _is_strict(run["settings"])),
)


def run_in_pieces(run: Run) -> Iterator[str]:
    """Yield the text of the file that ``--mem-json`` writes, test by test.

    The text of all tests at once would take thousands of bytes for each of them.
    """
    around = json.dumps(_RUN_CODEC.write(run), indent=1)
    head, tail = around.rsplit("[]", 1)  # the list of tests comes last
    yield head
    separator = "[\n  "
    for outcome in run.outcomes:
        yield separator
        yield json.dumps(OUTCOME_CODEC.write(outcome), indent=1).replace("\n", "\n  ")
        separator = ",\n  "
    yield "\n ]" if len(run.outcomes) else "[]"
    yield f"{tail}\n"


def run_from_json(data: object, source: str) -> Run:
    """Return a whole run from its plain form.

    Args:
        data: the content of the JSON file.
        source: the file's name, for messages.

    Raises:
        ConfigError: if it is not a run, or has a newer format.
    """
    ours = isinstance(data, Mapping) and "format" in data and "tests" in data
    if not isinstance(data, Mapping) or not (ours or is_newer(data, FORMAT)):
        msg = f"{source} is not a file that --mem-json wrote"
        raise ConfigError(msg)
    if type(data["format"]) is not int or data["format"] not in _FORMATS:
        msg = f"{source} has {other_format(data['format'], FORMAT)}"
        raise ConfigError(msg)
    try:
        for name, unit in data.get("units", {}).items():
            remember_unit(str(name), str(unit))
        return _RUN_CODEC.read(dict(data))
    except (KeyError, TypeError, AttributeError) as error:
        msg = f"{source} lacks something a run has ({type(error).__name__}: {error})"
        raise ConfigError(msg) from error
