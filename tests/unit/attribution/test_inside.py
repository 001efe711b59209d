"""Tests of what grows inside of objects: texts, bytes and arrays that no collector follows."""

from __future__ import annotations

import pytest

from pytest_memguard.attribution.inside import grown_inside
from tests.support.fresh_process import fresh
from tests.unit.attribution.leaking import NAME, module

CALLS = 4


def _inside(source: str) -> tuple[str, tuple[str, ...], int, int] | None:
    with module(source) as made:
        made.leak(0)
        found = grown_inside(lambda: made.leak(1), CALLS, 30.0)
        if found is None:
            return None
        path, value, gained = found
        before = value.length()
        made.leak(2)
        return path.holder, path.steps, gained, value.length() - before


@pytest.mark.parametrize(
    ("source", "holder", "last"),
    [
        pytest.param(
            "class Log: text = 'x' * 300\ndef leak(n): Log.text += 'abc'",
            ".Log.text",
            "attribute text (str, ",
            id="text-of-a-class",
        ),
        pytest.param(
            "class Port:\n  def __init__(self): self.seen = b'x' * 300\nPORT = Port()\n"
            "def leak(n): PORT.seen += b'abc'",
            ".PORT.seen",
            ".seen (bytes, ",
            id="bytes-of-an-instance",
        ),
        pytest.param(
            "class Port:\n  __slots__ = ('seen',)\nPORT = Port()\n"
            "PORT.seen = bytearray(b'x' * 300)\ndef leak(n): PORT.seen.extend(b'abc')",
            ".PORT.seen",
            ".seen (bytearray, ",
            id="bytearray-in-a-slot",
        ),
        pytest.param(
            "class Seen: bits = 1 << 2400\ndef leak(n): Seen.bits <<= 24",
            ".Seen.bits",
            "attribute bits (int",
            id="number-of-a-class",
        ),
        pytest.param(
            "D = {'a': 'x' * 300}\ndef leak(n): D['a'] += 'abc'",
            ".D",
            "key 'a'",
            id="text-in-a-dict",
        ),
    ],
)
def test_what_grows(source, holder, last):
    """An object that becomes longer with every call is found, with all that leads to it."""
    found = fresh(_inside, source)
    assert found is not None
    assert found[0].removesuffix("[...]") == f"{NAME}{holder}"
    assert any(step.startswith(last) for step in found[1])
    assert found[2:] == (3 * CALLS, 3)


@pytest.mark.parametrize(
    "source",
    [
        pytest.param("def leak(n): return 'x' * 300", id="nothing"),
        pytest.param(
            "class Log: text = ''\ndef leak(n): Log.text = str(n % 10) * 900",
            id="replaced-by-as-much",
        ),
        pytest.param(
            "class Log: text = 'x' * 900\ndef leak(n): Log.text = Log.text[:-1]", id="shorter"
        ),
    ],
)
def test_what_does_not_grow(source):
    """An object that is new or replaced, and no longer, has not grown."""
    assert fresh(_inside, source) is None
