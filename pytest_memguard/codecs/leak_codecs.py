"""How the results of leak checks are stored."""

from __future__ import annotations

from typing import Final

from pytest_memguard.codecs.codec import Codec, FlatCodec, Key
from pytest_memguard.codecs.forms import LIST, PAIRS, Converted, Deferred, Many, Optional
from pytest_memguard.formats import Json, present_state
from pytest_memguard.model.leaks import (
    Diagnosis,
    Kept,
    LeakLine,
    LeakReading,
    Rate,
    RetentionPath,
    Round,
    TypeGrowth,
    Verdict,
)

_NOT_STORED: Final = ("typical", "through_ffi", "tables", "in_tables", "chunks")
"""Fields of a line that only the fingerprint and the scales depend on, which are known then."""


_WHOLE_LINE: Final = FlatCodec(LeakLine, left=PAIRS)


def _write_line(line: LeakLine) -> Json:
    data = _WHOLE_LINE.write(line)
    return {key: value for key, value in data.items() if key not in _NOT_STORED}


_STORED_LINE: Final = Converted(_write_line, _WHOLE_LINE.read)
VERDICT_CODEC: Final = Codec(
    Verdict,
    Key("state", form=Converted(str, present_state)),
    "calls",
    "reason",
    Key("rates", form=Many(FlatCodec(Rate))),
    Key("rounds", form=Many(FlatCodec(Round, growth=PAIRS))),
)


WHOLE_DIAGNOSIS_CODEC: Final = FlatCodec(
    Diagnosis,
    lines=Many(_WHOLE_LINE),
    types=Many(FlatCodec(TypeGrowth)),
    path=Optional(FlatCodec(RetentionPath)),
)
"""Of causes that go from one process to another."""
DIAGNOSIS_CODEC: Final = Codec(
    Diagnosis,
    "calls",
    Key("lines", form=Many(_STORED_LINE)),
    Key("types", form=Many(FlatCodec(TypeGrowth))),
    Key("path", form=Optional(FlatCodec(RetentionPath))),
    Key("notes", form=LIST),
    "fingerprint",
    Key("earlier_fingerprint", "former_fingerprint", missing=""),
    Key("per_call", "bytes_per_call", missing=None),
    Key("pool", missing=""),
    Key("more_lines", missing=0),
    not_stored=["is_cut_short", "traced", "unnamed", "unnamed_small"],
)


LEAK_CODEC: Final[Codec[LeakReading]] = Codec(
    LeakReading,
    Key("verdict", form=VERDICT_CODEC),
    Key("diagnosis", "blame", Optional(DIAGNOSIS_CODEC)),
    "accepted",
    "calls",
    "seconds",
    Key("kept", form=Many(FlatCodec(Kept, rates=PAIRS)), missing=()),
    Key("more", form=Many(Deferred(lambda: LEAK_CODEC)), missing=()),
)
