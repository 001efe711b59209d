"""How what is known about a run that was stopped is stored."""

from __future__ import annotations

from typing import Final

from pytest_memguard.codecs.codec import Codec, Key
from pytest_memguard.codecs.forms import LIST, Converted, Many
from pytest_memguard.model.aborts import Abort, Breach, Part, ProcessLevel

BREACH_CODEC: Final = Codec(
    Breach,
    "used",
    "available",
    "source",
    Key(
        "processes",
        form=Many(
            Converted(
                lambda one: (one.pid, one.parent, one.size),
                lambda data: ProcessLevel(pid=data[0], parent=data[1], size=data[2]),
            )
        ),
    ),
    "time",
)
ABORT_CODEC: Final = Codec(
    Abort,
    "reason",
    Key("used", "used_bytes"),
    Key(
        "parts",
        "tests",
        Many(
            Codec(
                Part,
                Key("nodeid", "test"),
                "worker",
                Key("size", "bytes"),
                "running",
                Key("children", "children_bytes"),
            )
        ),
    ),
    "more_tests",
    Key("more_size", "more_bytes"),
    Key("rest", "rest_bytes"),
    Key("problems", form=LIST),
    "time",
)
