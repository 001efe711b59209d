"""How peaks, budgets, findings, phases and stages are stored."""

from __future__ import annotations

from typing import Final

from pytest_memguard.codecs.codec import Codec, FlatCodec, Key
from pytest_memguard.codecs.forms import LIST, Converted, Many, Optional
from pytest_memguard.model.baselines import BaselineValue, FailRule, Fill
from pytest_memguard.model.causes import Cause, CauseGroup
from pytest_memguard.model.measurements import (
    Budget,
    CallSite,
    Finding,
    Peak,
    PhaseReading,
    Rule,
    StageReading,
    Stop,
)


def _present_rule(rule: Rule | str) -> Rule | str:
    return "undecided" if rule == "unsure" else rule  # up to format 2


PEAK_CODEC: Final = Codec(
    Peak,
    "metric",
    Key("value", "bytes"),
    Key("high", "upper_bound_bytes"),
    "method",
    Key("unseen", "unseen_bytes", missing=0, sparse=True),
    Key("own", "own_thread_bytes", missing=None, sparse=True),
    not_stored=["bound"],
)
BASELINE_VALUE_CODEC: Final = Codec(
    BaselineValue,
    Key("before", "before_bytes"),
    Key("low", "at_least_bytes"),
    "imports",
    Key("rule", form=FlatCodec(FailRule)),
    Key("cold", "cold_bytes", missing=0, sparse=True),
    not_stored=["fills", "is_filled"],
)
FILLS_CODEC: Final = Many(Codec(Fill, "holder", Key("size", "bytes")))
BUDGET_CODEC: Final = Codec(
    Budget,
    Key("limit", "limit_bytes"),
    "metric",
    "phase",
    "stage",
    "warn",
    "threads",
    "where",
    Key("baseline_value", "former", BASELINE_VALUE_CODEC, missing=None, sparse=True),
    Key("hard", missing=False, sparse=True),
)
SITE_CODEC: Final = Codec(
    CallSite,
    "file",
    "line",
    "function",
    Key("size", "bytes"),
    Key("count", "blocks"),
    Key("kept", "kept_bytes"),
)
STOP_CODEC: Final = Codec(
    Stop,
    "by",
    Key("used", "used_bytes"),
    "caught",
    "file",
    "line",
    "function",
    "test_line",
    "stage",
    "thread",
    "words",
)
CAUSE_CODEC: Final = Codec(
    Cause,
    Key("growth", "growth_bytes"),
    Key("lines", form=LIST),
    "holder",
    "is_fill",
    "stage",
    Key("fixtures", form=LIST),
    "first",
)
CAUSE_GROUP_CODEC: Final = Codec(
    CauseGroup,
    "first",
    Key("tests", form=LIST),
    Key("undecided", form=LIST),
    "line",
    "holder",
    "stage",
    Key("least", "least_bytes"),
    Key("most", "most_bytes"),
)
FINDING_CODEC: Final = Codec(
    Finding,
    Key("rule", form=Converted(str, _present_rule)),
    "text",
    Key("budget", form=BUDGET_CODEC),
    Key("peak", form=Optional(PEAK_CODEC)),
    Key("sites", "lines", Many(SITE_CODEC)),
    "advice",
    "raised",
    Key("check", missing="", sparse=True),
    Key("stop", form=STOP_CODEC, missing=None, sparse=True),
    Key("cause", form=CAUSE_CODEC, missing=None, sparse=True),
)
PHASE_CODEC: Final = Codec(
    PhaseReading,
    "name",
    "seconds",
    Key("level", "start_rss_bytes"),
    Key("growth", "growth_bytes"),
    Key("peaks", form=Many(PEAK_CODEC)),
)
STAGE_CODEC: Final = Codec(
    StageReading,
    "path",
    "count",
    Key("delta", "delta_bytes"),
    Key("cumul", "cumulative_bytes"),
    "seconds",
    Key("peaks", form=Many(PEAK_CODEC)),
    Key("lines", form=Many(SITE_CODEC)),
)
