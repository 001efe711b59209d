"""How the death of a test's process is stored."""

from __future__ import annotations

from typing import Final

from pytest_memguard.codecs.codec import Codec, Inline, Key
from pytest_memguard.codecs.forms import LIST
from pytest_memguard.model.deaths import Death
from pytest_memguard.model.flights import Ending

DEATH_CODEC: Final = Codec(
    Death,
    "cause",
    "phase",
    Inline(
        "ending",
        Codec(
            Ending,
            "signal",
            "exit_code",
            "oom_kills",
            "oom_source",
            Key("highest", "highest_rss_bytes"),
            not_stored=["running"],
        ),
    ),
    "seconds",
    Key("level", "level_bytes"),
    Key("used", "used_bytes"),
    Key("limit", "limit_bytes"),
    Key("timeout", "timeout_seconds"),
    "where",
    Key("stack", form=LIST),
)
