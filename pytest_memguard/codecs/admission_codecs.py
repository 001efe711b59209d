"""How what is known of tests that waited for memory is stored."""

from __future__ import annotations

from typing import Final

from pytest_memguard.codecs.codec import Codec, Inline, Key, WrittenOnly
from pytest_memguard.codecs.forms import Converted, Many
from pytest_memguard.model.admission import (
    Admission,
    ExceededNeed,
    Need,
    ParallelRun,
    WaitedTest,
)

_NEED: Final = Codec(Need, Key("size", "need_bytes"), "source")
_WAITED: Final = Codec(WaitedTest, "nodeid", "worker", Inline("need", _NEED), "seconds")
_UNMEASURED_IS_NULL: Final = Converted(lambda real: real or None, lambda data: data or 0)
ADMISSION_CODEC: Final = Codec(
    Admission,
    Inline("need", Codec(Need, "size", "source")),
    "waited",
    "needs",
    "levels",
    "elsewhere",
)
PARALLEL_CODEC: Final = Codec(
    ParallelRun,
    Key("size", "size_bytes"),
    "source",
    "reason",
    "admitted",
    WrittenOnly("waited_seconds", lambda run: run.seconds),
    Key("needs", "highest_needs_bytes"),
    Key("levels", "levels_bytes"),
    Key("elsewhere", "other_runs_bytes"),
    Key("real", "highest_sum_bytes", _UNMEASURED_IS_NULL),
    Key("real_is", "highest_sum_is"),
    Key("waited", form=Many(_WAITED)),
    Key(
        "exceeded",
        form=Many(
            Codec(ExceededNeed, "nodeid", Inline("need", _NEED), Key("used", "used_bytes"))
        ),
    ),
)
