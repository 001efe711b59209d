"""What a file of ``--mem-json`` has in it, for tests of what reads one."""

from __future__ import annotations

import json
from typing import Any

from pytest_memguard.codecs.run_codec import run_in_pieces
from pytest_memguard.model.results import Run


def as_stored(run: Run) -> Any:
    """The content of a run's file."""
    return json.loads("".join(run_in_pieces(run)))
