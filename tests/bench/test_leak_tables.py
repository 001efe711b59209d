"""The leak benchmark's tables: what counts as right, and how answers are counted."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

LEAKS = Path(__file__).parents[2] / "bench" / "leaks"

with pytest.MonkeyPatch.context() as _patch:
    _patch.syspath_prepend(LEAKS)
    manifest = importlib.import_module("manifest")
    tables = importlib.import_module("tables")
    tools = importlib.import_module("tools")

HELD = next(manifest.cases(frozenset({"default_argument"})))
NATIVE = next(manifest.cases(frozenset({"native_small"})))
LOST = next(manifest.cases(frozenset({"raw_descriptor"})))
INNOCENT = next(manifest.cases(frozenset({"lru_cache_8"})))
MODULE = HELD.module
FILE = f"/anywhere/{HELD.path.name}"
MARKED = min(HELD.lines)
READING = {
    "verdict": {
        "state": "leaking",
        "calls": 24,
        "rates": [{"signal": "blocks", "per_call": 2.0, "low": 2.0, "high": 2.0}],
        "reason": "",
    },
    "blame": {
        "lines": [{"file": FILE, "line": MARKED, "function": "put", "caller": ""}],
        "types": [{"type": f"{MODULE}.Item", "count": 9, "size": 9}],
        "path": {"steps": [], "holder": f"{MODULE}.put", "bounded": "", "remark": ""},
        "fingerprint": "x",
    },
    "seconds": 0.5,
}


@pytest.mark.parametrize(
    ("holder", "right"),
    [
        pytest.param(f"{MODULE}.put", True, id="the-holder"),
        pytest.param(f"{MODULE}.put.__defaults__", True, id="an-attribute-of-it"),
        pytest.param(f"{MODULE}.put_back", False, id="a-longer-name"),
        pytest.param("", False, id="no-holder"),
    ],
)
def test_holder(holder, right):
    """A holder is right if it is the one expected or a part of it."""
    assert tables.holder_right(HELD, tools.Answer(state="leaking", holder=holder)) is right


def test_no_holder():
    """Where no Python object holds what stays, the answer must name no holder."""
    assert tables.holder_right(NATIVE, tools.Answer(state="leaking"))
    assert not tables.holder_right(NATIVE, tools.Answer(state="leaking", holder="gc"))


def test_line():
    """The first line named in the case's own file counts; other files do not matter."""
    lines = (("/lib/other.py", MARKED), (FILE, MARKED), (FILE, 1))

    assert tables.line_right(HELD, tools.Answer(state="leaking", lines=lines))
    assert not tables.line_right(HELD, tools.Answer(state="leaking", lines=lines[::-1]))
    assert not tables.line_right(LOST, tools.Answer(state="leaking"))


def test_type():
    """A type counts if it is among those named, where there is one at all."""
    answer = tools.Answer(state="leaking", types=("list", f"{MODULE}.Item"))

    assert tables.type_right(HELD, answer)
    assert not tables.type_right(HELD, tools.Answer(state="leaking", types=("Item",)))
    assert tables.type_right(NATIVE, answer) is None


def test_reading(monkeypatch):
    """A leak reading of the plugin's own JSON becomes an answer with everything in it."""
    notes = {
        "ended": "exit status 1",
        "watched": {"seconds": 0.75},
        "memguard": {"tests": [{"leak": READING}]},
    }
    place = tools.Place(folder=Path(), no_extension="")
    monkeypatch.setattr(tools.Place, "run", lambda *_: notes)

    ((name, answer),) = tools.memguard(place, HELD)

    assert name == "pytest-memguard"
    assert (answer.state, answer.calls, answer.seconds) == ("leaking", 24, 0.75)
    assert answer.said == "blocks 2 per call"
    assert all(check(HELD, answer) for check in tables.CHECKS.values())


def test_wrong():
    """Missing a leak, flagging an innocent case and saying nothing are all wrong."""
    answers = {
        HELD: tools.Answer(state="settling"),
        NATIVE: tools.Answer(state="leaking"),
        LOST: tools.Answer(state=tools.SILENT),
        INNOCENT: tools.Answer(state="leaking"),
    }

    assert [case for case, _ in tables.wrong(answers)] == [HELD, LOST, INNOCENT]
    row = tables.confusion({"it": answers}).splitlines()[-1].split("  ")
    assert [cell.strip() for cell in row if cell] == [
        "it",
        "1 of 3",
        "1",
        "1",
        "0 of 1",
        "1",
        "0",
        "3",
    ]
