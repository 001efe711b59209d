"""How kinds of values are stored: lists, pairs, and what functions convert."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol


class Form(Protocol):
    """How one kind of value is stored."""

    def write(self, value: Any, /) -> Any:
        """Return a value in its plain form."""

    def read(self, data: Any, /) -> Any:
        """Return the value that a plain form stands for."""


class Converted:
    """A value that two functions convert."""

    def __init__(self, write: Callable[[Any], Any], read: Callable[[Any], Any]) -> None:
        """Take the functions: to the plain form, and from it."""
        self.write = write
        self.read = read


class Optional:
    """A value that may be ``None``, which is stored as null."""

    def __init__(self, form: Form) -> None:
        """Take the form of a value that is not ``None``."""
        self._form = form

    def write(self, value: Any) -> Any:
        """Return the plain form of a value; ``None`` for ``None``."""
        return None if value is None else self._form.write(value)

    def read(self, data: Any) -> Any:
        """Return the value of a plain form; ``None`` for ``None``."""
        return None if data is None else self._form.read(data)


class Many:
    """A tuple of values of one kind, which is stored as a list."""

    def __init__(self, form: Form) -> None:
        """Take the form of each value."""
        self._form = form

    def write(self, values: Sequence[Any]) -> list[Any]:
        """Return the plain forms of values."""
        return [self._form.write(value) for value in values]

    def read(self, data: Sequence[Any]) -> tuple[Any, ...]:
        """Return the values of plain forms."""
        return tuple(self._form.read(each) for each in data)


class Deferred:
    """A form that is not there yet, as that of a class within itself."""

    def __init__(self, form: Callable[[], Form]) -> None:
        """Take what returns the form."""
        self._form = form

    def write(self, value: Any) -> Any:
        """Return the plain form of a value."""
        return self._form().write(value)

    def read(self, data: Any) -> Any:
        """Return the value of a plain form."""
        return self._form().read(data)


LIST: Final = Converted(list, tuple)
"""A tuple of numbers or texts, which is stored as a list."""
PAIRS: Final = Converted(dict, lambda data: tuple(data.items()))
"""A tuple of pairs, which is stored as an object."""
