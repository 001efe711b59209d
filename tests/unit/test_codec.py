"""Tests of the tables that say how values are stored."""

from __future__ import annotations

import json

import pytest

from pytest_memguard.codecs.codec import Codec, FlatCodec, Inline, Key, ReadOnly, WrittenOnly
from pytest_memguard.codecs.forms import LIST, PAIRS, Converted, Deferred, Many, Optional
from pytest_memguard.values import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """A value with two numbers."""

    x: int
    """One."""
    y: int = 0
    """The other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """A value with others in it."""

    name: str
    """Its name."""
    middle: Point
    """One value."""
    corners: tuple[Point, ...] = ()
    """Many."""
    parts: tuple[Shape, ...] = ()
    """Values of its own class."""
    label: Point | None = None
    """A value that may be missing."""

    @property
    def size(self) -> int:
        """The number of corners."""
        return len(self.corners)


POINT = Codec(Point, Key("x", "left"), Key("y", missing=0, sparse=True))
SHAPE: Codec[Shape] = Codec(
    Shape,
    "name",
    Inline("middle", POINT),
    WrittenOnly("size", lambda shape: shape.size),
    Key("corners", form=Many(POINT)),
    Key("parts", form=Many(Deferred(lambda: SHAPE)), missing=(), sparse=True),
    Key("label", form=Optional(POINT), missing=None),
)
SQUARE = Shape(
    name="square",
    middle=Point(x=1, y=2),
    corners=(Point(x=0), Point(x=2, y=4)),
    parts=(Shape(name="dot", middle=Point(x=7), label=Point(x=8)),),
)
STORED = {
    "name": "square",
    "left": 1,
    "y": 2,
    "size": 2,
    "corners": [{"left": 0}, {"left": 2, "y": 4}],
    "parts": [
        {"name": "dot", "left": 7, "size": 0, "corners": [], "label": {"left": 8}},
    ],
    "label": None,
}


def test_write() -> None:
    """Keys are in the order of the rows, sparse ones only where they say something."""
    assert json.dumps(SHAPE.write(SQUARE)) == json.dumps(STORED)


def test_read() -> None:
    """A value is read as it was written."""
    assert SHAPE.read(json.loads(json.dumps(STORED))) == SQUARE


def test_keys_that_older_files_lack() -> None:
    """A key with a value for its absence may be missing, any other may not."""
    older = {key: value for key, value in STORED.items() if key not in {"label", "parts"}}
    assert SHAPE.read(older).parts == ()
    del older["corners"]
    with pytest.raises(KeyError, match="corners"):
        SHAPE.read(older)


@pytest.mark.parametrize(
    "rows",
    [
        pytest.param(["x"], id="one-missing"),
        pytest.param(["x", "y", "z"], id="one-too-many"),
        pytest.param(["x", "y", "y"], id="one-twice"),
    ],
)
def test_a_table_that_does_not_fit_its_class(rows) -> None:
    """A field that was added to a class and not to its table is an error at once."""
    with pytest.raises(TypeError, match="Point has the fields"):
        Codec(Point, *rows)


def test_fields_that_are_not_stored() -> None:
    """A field that is not stored has its default, one that is implied is made of the rest."""
    assert Codec(Point, "x", not_stored=["y"]).read({"x": 3}) == Point(x=3)
    codec = Codec(Point, "x", ReadOnly("y", lambda data: data["x"] * 2))
    assert codec.write(Point(x=3, y=9)) == {"x": 3}
    assert codec.read({"x": 3}) == Point(x=3, y=6)


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """A value of which JSON knows only a part."""

    name: str
    """Its name."""
    tags: tuple[str, ...] = ()
    """Some texts."""
    sizes: tuple[tuple[str, int], ...] = ()
    """Some pairs."""


def test_a_codec_from_the_fields_of_a_class() -> None:
    """Tuples are lists, pairs are objects if that is wanted; missing keys are defaults."""
    codec = FlatCodec(Named, sizes=PAIRS)
    value = Named(name="a", tags=("x", "y"), sizes=(("b", 1), ("c", 2)))
    data = {"name": "a", "tags": ["x", "y"], "sizes": {"b": 1, "c": 2}}
    assert codec.write(value) == data
    assert codec.read(data) == value
    assert codec.read({"name": "a"}) == Named(name="a")
    with pytest.raises(TypeError, match="other"):
        codec.read({"name": "a", "other": 1})


@pytest.mark.parametrize(
    ("form", "value", "data"),
    [
        pytest.param(LIST, (1, 2), [1, 2], id="list"),
        pytest.param(PAIRS, (("a", 1),), {"a": 1}, id="pairs"),
        pytest.param(Converted(str, int), 7, "7", id="functions"),
        pytest.param(Optional(LIST), None, None, id="none"),
        pytest.param(Optional(LIST), (1,), [1], id="not-none"),
        pytest.param(Many(Optional(LIST)), ((1,), None), [[1], None], id="many"),
    ],
)
def test_forms(form, value, data) -> None:
    """Each form writes a value as JSON has it, and reads it back."""
    assert form.write(value) == data
    assert form.read(data) == value
