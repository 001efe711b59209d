"""The decorator of frozen values: like the standard one, in a small part of its time."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final, TypeVar

Class = TypeVar("Class", bound=type)

_OF_PLAIN: Final = frozenset({"__dict__", "__weakref__"})
"""What a class without slots has, and one with them has not."""

if TYPE_CHECKING:  # for type checkers it is the standard one
    from dataclasses import dataclass as dataclass  # noqa: PLC0414  that hands it on
else:

    def dataclass(*, frozen: bool, slots: bool, kw_only: bool) -> Callable[[Class], Class]:
        """Make a class one of frozen values with slots, whose fields are given by name.

        The standard decorator compiles up to eight functions for each class, in every process
        that loads it; that was most of what a run with a budget took to start. Here all
        classes share their methods. The one that has to be quick, the constructor, is compiled
        when the first value is made, and what the standard module knows of a class is found
        out when it asks.
        """
        if not (frozen and slots and kw_only):
            msg = "other classes are made with the standard decorator"
            raise TypeError(msg)
        return _make


def _make(plain: Class) -> Class:
    names = tuple(plain.__annotations__)
    body = {name: of for name, of in vars(plain).items() if name not in _OF_PLAIN}
    given = {name: body.pop(name) for name in names if name in body}
    options = [value for value in given.values() if isinstance(value, dataclasses.Field)]
    if not all(field.init and field.compare and field.hash is None for field in options):
        msg = "of the options of a field, only default, default_factory and repr are supported"
        raise TypeError(msg)
    body.update(_METHODS)
    body["__qualname__"] = plain.__qualname__
    body["__slots__"] = names
    body["_content"] = attrgetter(*names)
    body["_defaults"] = given
    body["__dataclass_fields__"] = _Fields()
    return type(plain)(plain.__name__, plain.__bases__, body)


class _Fields:
    """The fields of a class as the standard module describes them, once they are asked for."""

    __slots__ = ("_name", "_owner")

    def __set_name__(self, owner: Any, name: str) -> None:
        self._owner, self._name = owner, name

    def __get__(self, _instance: object, _cls: type) -> Any:
        owner = self._owner
        # with a docstring, or the standard decorator would write one from the signature
        body = {"__annotations__": owner.__annotations__, "__doc__": "-"}
        body |= owner._defaults  # noqa: SLF001  `_make` has put it there
        make = dataclasses.dataclass(init=False, repr=False, eq=False, kw_only=True)
        found = getattr(make(type(owner.__name__, (), body)), self._name)
        setattr(owner, self._name, found)
        return found


def _first_init(self: Any, **values: Any) -> None:
    """Compile the constructor of a class, and make its first value."""
    owner: Any = next(cls for cls in type(self).__mro__ if "_content" in vars(cls))
    owner.__init__ = constructor = _constructor(owner)
    constructor(self, **values)


def _constructor(cls: Any) -> Callable[..., None]:
    """Return a function that sets every field of a class, as fast as one written by hand."""
    known: dict[str, Any] = {"missing": dataclasses.MISSING}
    parameters, lines = [], []
    for name in cls.__slots__:
        known[f"set_{name}"] = _setter(cls, name)
        value = parameter = name
        default: Any = cls._defaults.get(name, dataclasses.MISSING)
        make: Any = dataclasses.MISSING
        if isinstance(default, dataclasses.Field):
            default, make = default.default, default.default_factory
        if default is not dataclasses.MISSING:
            known[f"default_{name}"] = default
            parameter += f"=default_{name}"
        elif make is not dataclasses.MISSING:
            known[f"make_{name}"] = make
            parameter += "=missing"
            value = f"make_{name}() if {name} is missing else {name}"
        parameters.append(parameter)
        lines.append(f"\n    set_{name}(self, {value})")
    made: dict[str, Any] = {}
    text = f"def __init__(self, *, {', '.join(parameters)}):{''.join(lines)}"
    exec(text, known, made)  # noqa: S102  of names of fields alone
    constructor: Callable[..., None] = made["__init__"]
    constructor.__qualname__ = f"{cls.__qualname__}.__init__"
    return constructor


def _setter(cls: type, name: str) -> Callable[[Any, Any], None]:
    setter: Callable[[Any, Any], None] = getattr(cls, name).__set__
    return setter


def _equal(self: Any, other: Any) -> Any:
    if other.__class__ is not self.__class__:
        return NotImplemented
    return self._content(self) == self._content(other)


def _hash(self: Any) -> int:
    return hash(self._content(self))


def _represent(self: Any) -> str:
    shown = [field.name for field in dataclasses.fields(self) if field.repr]
    values = ", ".join(f"{name}={getattr(self, name)!r}" for name in shown)
    return f"{self.__class__.__qualname__}({values})"


def _state(self: Any) -> list[Any]:
    return [getattr(self, name) for name in self.__slots__]


def _set_state(self: Any, state: list[Any]) -> None:
    for name, value in zip(self.__slots__, state, strict=True):
        _setter(type(self), name)(self, value)


def _refuse_to_set(self: Any, name: str, value: object) -> None:  # noqa: ARG001
    msg = f"cannot assign to field {name!r}"
    raise dataclasses.FrozenInstanceError(msg)


def _refuse_to_delete(self: Any, name: str) -> None:  # noqa: ARG001
    msg = f"cannot delete field {name!r}"
    raise dataclasses.FrozenInstanceError(msg)


_METHODS: Final = {
    "__init__": _first_init,
    "__eq__": _equal,
    "__hash__": _hash,
    "__repr__": _represent,
    "__getstate__": _state,
    "__setstate__": _set_state,
    "__setattr__": _refuse_to_set,
    "__delattr__": _refuse_to_delete,
    "__match_args__": (),
}
"""What all classes of frozen values have in common."""
