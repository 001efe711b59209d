"""Reads objects without running their code: names, attributes, lengths and sizes."""

from __future__ import annotations

import builtins
import gc
import io
import sys
from array import array
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from inspect import CO_OPTIMIZED
from queue import SimpleQueue
from types import (
    FrameType,
    FunctionType,
    GetSetDescriptorType,
    MemberDescriptorType,
    MethodDescriptorType,
    ModuleType,
    WrapperDescriptorType,
)
from typing import Any, Final

# what a class says of itself, asked past its metaclass, which may be any code
_namespace_of = type.__dict__["__dict__"].__get__
_mro_of = type.__dict__["__mro__"].__get__
_module_of = type.__dict__["__module__"].__get__
_flags_of = type.__dict__["__flags__"].__get__
_basic_size_of = type.__dict__["__basicsize__"].__get__
_item_size_of = type.__dict__["__itemsize__"].__get__
_qualname_of = type.__dict__["__qualname__"].__get__
_TRACKED_HEADER: Final = 16
_TRIES: Final = 9
_HEAP_TYPE: Final = 1 << 9
_IMMUTABLE_TYPE: Final = 1 << 8
_MANAGED_DICT: Final = 1 << 4
_HAS_HEADER: Final = 1 << 14
"""Flag of types whose objects the garbage collector may track; they have a header in any
case."""
_SHOWS_FREED: Final = sys.hexversion >> 16 == 0x30C
"""Whether this is CPython 3.12."""


def _nothing() -> None:
    """Be wrapped once, to get the type of such wrappers."""


LRU_CACHE: Final[type] = type(lru_cache(_nothing))
"""The type of what `functools.lru_cache` returns."""
_of_module: Final = vars(ModuleType)["__dict__"].__get__
PLAIN: Final = (dict, list, set)
"""Containers so common that many are measured at once."""


def lru_fill(wrapper: Any) -> tuple[int | None, int]:
    """Return bound and length of a `functools.lru_cache`."""
    info = LRU_CACHE.cache_info(wrapper)  # type: ignore[attr-defined]  # on the C type
    return (info[2], info[3])


def _lru_length(wrapper: Any) -> int:
    return lru_fill(wrapper)[1]


MEASURES: Final[tuple[tuple[type, Callable[[Any], int], str], ...]] = (
    (dict, dict.__len__, "entries"),
    (list, list.__len__, "items"),
    (set, set.__len__, "members"),
    (deque, deque.__len__, "items"),
    (bytearray, bytearray.__len__, "bytes"),
    (array, array.__len__, "items"),
    # what was written last is the end of it, and the position costs no copy
    (io.BytesIO, io.BytesIO.tell, "bytes"),
    (io.StringIO, io.StringIO.tell, "characters"),
    (SimpleQueue, SimpleQueue.qsize, "items"),
    (LRU_CACHE, _lru_length, "entries"),
    (tuple, tuple.__len__, "items"),
    (frozenset, frozenset.__len__, "members"),
    (str, str.__len__, "characters"),
    (bytes, bytes.__len__, "bytes"),
)
"""For each type, how its length is read, and what that counts."""
_MEASURES_OF: Final = {id(base): (length, unit) for base, length, unit in MEASURES}
"""The same by the id of the type: most objects are of no subclass."""
FIXED: Final = (tuple, frozenset, str, bytes)
"""Those of them that never change."""


def namespace(cls: type) -> Mapping[str, Any]:
    """Return a class's own ``__dict__``."""
    found: Mapping[str, Any] = _namespace_of(cls)
    return found


def mro(cls: type) -> tuple[type, ...]:
    """Return a class and its bases, in order; none if the garbage collector has cleared it.

    A class that is its own metaclass is cleared and stays.
    """
    found: tuple[type, ...] | None = _mro_of(cls)
    return found or ()


def class_name(cls: type) -> tuple[str, str]:
    """Return module and qualified name of a class; either may be empty."""
    try:
        module, name = _module_of(cls), _qualname_of(cls)
    except AttributeError:  # the module of a class that hides it
        module, name = "", _qualname_of(cls)
    return (text(module), text(name))


def is_made_in_python(cls: type) -> bool:
    """Return whether a class was written in Python, as far as its name and kind show."""
    # newer versions make types of C modules like classes, but immutable
    kind = _flags_of(cls) & (_HEAP_TYPE | _IMMUTABLE_TYPE)
    return kind == _HEAP_TYPE and not class_name(cls)[0].startswith("_")


def has_words_in_front(cls: type) -> bool:
    """Return whether two words before an object of this type say where its attributes are."""
    return bool(_flags_of(cls) & _MANAGED_DICT)


def has_header(cls: type) -> bool:
    """Return whether the garbage collector may track objects of a type."""
    return bool(_flags_of(cls) & _HAS_HEADER)


def basic_size(cls: type) -> int:
    """Return the bytes of an object of this type, without its items and what precedes it."""
    size: int = _basic_size_of(cls)
    return size


def type_name(cls: type) -> str:
    """Return the name of a type for display, with its module unless it is a builtin."""
    module, name = class_name(cls)
    return name if module in {"", "builtins"} else f"{module}.{name}"


def is_exactly(obj: object, *kinds: type) -> bool:
    """Return whether an object is of one of these types and not of a subclass.

    Looking its type up in a set would hash it, which may run code of its metaclass.
    """
    kind = type(obj)
    for candidate in kinds:  # noqa: SIM110  a generator takes three times as long
        if kind is candidate:
            return True
    return False


def text(value: object) -> str:
    """Return the value if it is exactly a string, else an empty one."""
    return value if type(value) is str else ""


def measure(cls: type) -> tuple[Callable[[Any], int], str] | None:
    """Return how to read the length of objects of a type, and what it counts."""
    known = _MEASURES_OF.get(id(cls))
    if known is not None:
        return known
    for base, length, unit in MEASURES:
        if issubclass(cls, base):
            return (length, unit)
    return None


def length(obj: object) -> int | None:
    """Return the length of a container; ``None`` if it is none, or closed."""
    found = measure(type(obj))
    try:
        return None if found is None else found[0](obj)
    except ValueError:
        return None


def instance_dict(obj: object) -> dict[str, Any] | None:
    """Return the dict with an object's attributes, if there is one."""
    if type(obj) is ModuleType:
        of_module: dict[str, Any] | None = _of_module(obj)
        return of_module
    if issubclass(type(obj), type):
        return None
    for cls in mro(type(obj)):
        descriptor: Any = namespace(cls).get("__dict__")
        # a property of this name would be code of the object's
        if is_exactly(descriptor, GetSetDescriptorType, MemberDescriptorType):
            try:
                found = descriptor.__get__(obj)
            except (AttributeError, TypeError):
                return None
            return found if issubclass(type(found), dict) else None
    return None


def slots(obj: object) -> Iterator[tuple[str, Any]]:
    """Return attributes in slots, and the members of types written in C."""
    for cls in mro(type(obj)):
        for name, descriptor in list(namespace(cls).items()):
            if type(descriptor) is MemberDescriptorType and name != "__dict__":
                try:
                    yield (name, descriptor.__get__(obj))
                except (AttributeError, TypeError, SystemError):
                    continue


def attributes(obj: object) -> Iterator[tuple[str, Any]]:
    """Return attributes of an object, from its dict and from slots."""
    for name, value in items(instance_dict(obj) or {}):
        if type(name) is str:
            yield (name, value)
    yield from slots(obj)


def items(mapping: Any) -> list[tuple[Any, Any]]:
    """Return the entries of a dict of any kind, as they were at some moment."""
    tries = (_try_items(mapping) for _ in range(_TRIES))
    return next((found for found in tries if found is not None), [])


def _try_items(mapping: Any) -> list[tuple[Any, Any]] | None:
    try:
        return list(dict.items(mapping))
    except RuntimeError:  # another thread changed it meanwhile
        return None


def modules() -> list[tuple[str, ModuleType]]:
    """Return the modules by the names they are known under."""
    return [
        (name, module)
        for name, module in items(sys.modules)
        if type(name) is str and issubclass(type(module), ModuleType)
    ]


def referents(*holders: Any) -> list[Any]:
    """Return what objects refer to, as the garbage collector reports it.

    In CPython 3.12 the module ``_asyncio`` reports objects that it keeps for reuse. They have
    no references, so dropping such a list frees them a second time, and the next collection
    never ends. What that module refers to is left out.

    Args:
        holders: any objects.
    """
    module = sys.modules.get("_asyncio") if _SHOWS_FREED else None
    if module is not None and id(module) in set(map(id, holders)):
        return gc.get_referents(*(held for held in holders if held is not module))
    return gc.get_referents(*holders)


def tables(container: object) -> list[Any]:
    """Return the objects whose own memory holds a container's items."""
    if type(container) is LRU_CACHE:
        return [part for part in referents(container) if type(part) is dict]
    return [container] if length(container) is not None else []


def own_size(obj: object) -> int:
    """Return the bytes of an object itself, if a type in C reports them; else 0."""
    kind = type(obj)
    sizeof = _SIZEOF_OF.get(id(kind)) or _sizeof(kind)
    size = sizeof(obj) if sizeof is not None else None
    return size + _TRACKED_HEADER if type(size) is int else 0


def _sizeof(kind: type) -> Callable[[Any], Any] | None:
    """Return what reports the size of an object of a type, if that is in C."""
    for cls in mro(kind):
        found: Callable[[Any], Any] | None = namespace(cls).get("__sizeof__")
        if is_exactly(found, MethodDescriptorType, WrapperDescriptorType):
            return found
    return None


_SIZEOF_OF: Final = {
    id(kind): _sizeof(kind) for kind in vars(builtins).values() if type(kind) is type
}
"""The same by the id of the type: most objects are of a built-in one, which never goes."""


def block_sizes(obj: object) -> tuple[int, ...]:
    """Return the bytes of each block of an object: itself, and its table if it has one.

    An object with its items inside, such as a tuple, a number or text, is one block.
    """
    kind = type(obj)
    header = _TRACKED_HEADER if _flags_of(kind) & _HAS_HEADER else 0
    size = own_size(obj) - _TRACKED_HEADER + header
    if size <= 0:
        return ()
    own = _basic_size_of(kind) + header
    if _item_size_of(kind) or issubclass(kind, str) or size <= own:
        return (size,)
    return (own, size - own)


def local_values(frame: FrameType) -> dict[str, Any]:
    """Return the local variables of a frame, and leave no trace of the access."""
    values = frame.f_locals
    if type(values) is not dict and type(values).__name__ != "FrameLocalsProxy":
        return {}
    found = dict(values)
    if sys.version_info < (3, 13) and frame.f_code.co_flags & CO_OPTIMIZED:
        # the frame keeps this copy and so what is in it; three references are the frame's,
        # ours and that of getrefcount's argument: no other code uses the copy
        if sys.getrefcount(values) <= 3:
            values.clear()
    return found


def dotted(function: FunctionType) -> str:
    """Return module and qualified name of a function."""
    module, name = text(function.__module__), text(function.__qualname__)
    return f"{module}.{name}" if module else name
