"""Tests of our own decorator of frozen values: it makes what the standard one makes."""

from __future__ import annotations

import copy
import dataclasses
import pickle

import pytest

from pytest_memguard import values

KIND = {"frozen": True, "slots": True, "kw_only": True}


def annotated(name, decorator):
    """A class of four fields, made by one of the decorators."""

    class Value:
        """A value."""

        size: int
        """Bytes."""
        name: str = "none"
        """The owner."""
        parts: list[int] = dataclasses.field(default_factory=list)
        """What it has."""
        hidden: str = dataclasses.field(default="", repr=False)
        """What must not be shown."""

        @property
        def double(self) -> int:
            """Twice its size."""
            return 2 * self.size

    Value.__qualname__ = name
    return decorator(**KIND)(Value)


Ours = annotated("Ours", values.dataclass)
Standard = annotated("Standard", dataclasses.dataclass)


@values.dataclass(**KIND)
class Sent:
    """A value that pickle finds under its name."""

    number: int
    """What it is about."""


def outcome(function):
    """What a function returns, or how it fails, the names of our classes left out."""
    try:
        result = function()
    except (TypeError, AttributeError) as error:
        result = f"{type(error).__name__}: {error}"
    return str(result).replace("Ours", "Standard")


@pytest.mark.parametrize(
    "ask",
    [
        pytest.param(lambda cls: cls(size=1), id="defaults"),
        pytest.param(lambda cls: cls(size=1, name="a", parts=(2,)), id="all-given"),
        pytest.param(lambda cls: cls(size=1, hidden="key"), id="not-shown"),
        pytest.param(lambda cls: cls(size=1).double, id="property"),
        pytest.param(lambda cls: cls(size=1).parts is cls(size=1).parts, id="factory"),
        pytest.param(lambda cls: cls(size=1) == cls(size=1), id="same"),
        pytest.param(lambda cls: cls(size=1) == cls(size=2), id="other-value"),
        pytest.param(lambda cls: cls(size=1) == (1, "none", []), id="other-type"),
        pytest.param(lambda cls: len({cls(size=s, parts=()) for s in (1, 2, 1)}), id="hash"),
        pytest.param(lambda cls: hash(cls(size=1)), id="no-hash-of-a-list"),
        pytest.param(lambda cls: dataclasses.replace(cls(size=1), name="b"), id="replace"),
        pytest.param(lambda cls: dataclasses.asdict(cls(size=1)), id="as-dict"),
        pytest.param(lambda cls: [f.name for f in dataclasses.fields(cls)], id="fields"),
        pytest.param(lambda cls: copy.copy(cls(size=1)), id="copy"),
        pytest.param(lambda cls: copy.deepcopy(cls(size=1, name="c")), id="deep-copy"),
        pytest.param(lambda cls: setattr(cls(size=1), "size", 2), id="set"),
        pytest.param(lambda cls: delattr(cls(size=1), "size"), id="delete"),
        pytest.param(lambda cls: hasattr(cls(size=1), "__dict__"), id="no-dict"),
        pytest.param(lambda cls: cls.__match_args__, id="by-name-alone"),
        pytest.param(lambda cls: cls.__init__.__qualname__, id="name-of-the-constructor"),
    ],
)
def test_as_the_standard_one(ask) -> None:
    """A class of this decorator does what a standard one does."""
    Ours(size=0)  # from now on with the constructor that was compiled
    assert outcome(lambda: ask(Standard)) == outcome(lambda: ask(Ours))


@pytest.mark.parametrize(
    ("args", "named"),
    [
        pytest.param((), {}, id="missing"),
        pytest.param((1,), {}, id="by-position"),
        pytest.param((), {"size": 1, "other": 2}, id="unknown"),
    ],
)
def test_wrong_arguments(args, named) -> None:
    """The first value of a class is refused what any other is."""
    for cls in (annotated("New", values.dataclass), Ours):
        with pytest.raises(TypeError):
            cls(*args, **named)


def test_pickle() -> None:
    """A value survives being sent to another process."""
    text = pickle.dumps(Sent(number=3))
    assert Sent(number=3) == pickle.loads(text)  # noqa: S301  we wrote it ourselves


@pytest.mark.parametrize("missing", KIND)
def test_other_kinds_are_refused(missing) -> None:
    """The error for another kind of class names the standard decorator."""
    with pytest.raises(TypeError, match="standard decorator"):
        values.dataclass(**{**KIND, missing: False})


@pytest.mark.parametrize("option", ["init", "compare", "hash"])
def test_other_fields_are_refused(option) -> None:
    """An option of a field that is not supported is an error."""

    class Value:
        """A value."""

        size: int = dataclasses.field(default=0, **{option: False})
        """Bytes."""

    with pytest.raises(TypeError, match="default, default_factory and repr"):
        values.dataclass(**KIND)(Value)
