"""Describes objects and keys without running their code."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from types import (
    AsyncGeneratorType,
    CellType,
    CoroutineType,
    FrameType,
    FunctionType,
    GeneratorType,
    MethodType,
    ModuleType,
)
from typing import Any, Final
from weakref import ReferenceType, WeakKeyDictionary, WeakSet, WeakValueDictionary

from pytest_memguard.attribution import raw

WEAK_CONTAINERS: Final[tuple[type, ...]] = (
    WeakKeyDictionary,
    WeakValueDictionary,
    WeakSet,
)
"""Written in Python, around a dict or a set named ``data``."""
GENERATORS: Final = {
    GeneratorType: "gi_frame",
    CoroutineType: "cr_frame",
    AsyncGeneratorType: "ag_frame",
}
"""What can be suspended, and the name of its frame."""
_PREFIXES: Final[tuple[tuple[type, str], ...]] = (
    (FunctionType, "function"),
    (MethodType, "method"),
    (raw.LRU_CACHE, "functools.lru_cache of"),
    (partial, "functools.partial of"),
    (type, "class"),
    (ModuleType, "module"),
)
_KEY_LENGTH: Final = 40
_KEY_ITEMS: Final = 4
_INT_BITS: Final = 256


def is_weak_container(obj: object) -> bool:
    """Return whether it is a container of weak references, without asking its metaclass."""
    return any(cls is weak for cls in raw.mro(type(obj)) for weak in WEAK_CONTAINERS)


def key_words(key: object) -> str:
    """Return a key as it is written, if that runs no code of the key; else its type.

    Returns:
        At most 40 characters.
    """
    written = _written(key)
    if written is None and issubclass(type(key), type):
        return described(key)
    if written is None:
        return f"of type {raw.type_name(type(key))}"
    if len(written) > _KEY_LENGTH:
        return f"{written[: _KEY_LENGTH - 1]}…"
    return written


def _written(key: Any) -> str | None:
    if raw.is_exactly(key, str, bytes):
        return repr(key[: _KEY_LENGTH + 1])
    if raw.is_exactly(key, int):
        return repr(key) if key.bit_length() <= _INT_BITS else None
    if raw.is_exactly(key, bool, float, type(None)):
        return repr(key)
    return _written_tuple(key) if type(key) is tuple else None


def _written_tuple(key: tuple[Any, ...]) -> str:
    parts = [_written(part) for part in key[:_KEY_ITEMS]]
    if len(key) > _KEY_ITEMS:
        parts.append("…")
    # the other parts still distinguish one key from the next
    known = (part or f"<{raw.type_name(type(key[i]))}>" for i, part in enumerate(parts))
    return f"({', '.join(known)}{',' if len(parts) == 1 else ''})"


def fill(obj: object) -> str:
    """Return the size of a container in words: ``96 entries``; empty for anything else."""
    measure = raw.measure(type(obj))
    inner = (raw.instance_dict(obj) or {}).get("data") if is_weak_container(obj) else None
    if inner is not None:
        return _counted(raw.length(inner) or 0, "entries")
    length = raw.length(obj)
    return "" if measure is None or length is None else _counted(length, measure[1])


def _counted(length: int, unit: str) -> str:
    singular = {"entries": "entry"}.get(unit, unit[:-1])
    return f"{length:,} {singular if length == 1 else unit}"


def described(obj: Any) -> str:
    """Return a description of an object: ``dict, 96 entries``, ``function app.f``."""
    kind = type(obj)
    special = _special(obj, kind)
    if special:
        return special
    name = raw.type_name(kind).removeprefix("collections.")
    name = "threading.local" if name == "_thread._local" else name
    if is_weak_container(obj):
        name = name.removeprefix("weakref.")
    filled = fill(obj)
    return f"{name}, {filled}" if filled else name


def _special(obj: Any, kind: type) -> str:
    if raw.is_exactly(obj, FrameType):
        return f"frame of {frame_words(obj)}"
    if raw.is_exactly(obj, *GENERATORS):
        return f"{kind.__name__} {raw.text(obj.__qualname__)}"
    for base, words in _PREFIXES:
        if issubclass(kind, base):
            return f"{words} {callable_name(obj)}"
    if issubclass(kind, ReferenceType):
        return "weakref"
    return "cell" if kind is CellType else _thread(obj)


def is_thread(obj: object) -> bool:
    """Return whether it is a `threading.Thread`."""
    return any(raw.class_name(cls) == ("threading", "Thread") for cls in raw.mro(type(obj)))


def _thread(obj: object) -> str:
    if is_thread(obj):
        name = raw.text((raw.instance_dict(obj) or {}).get("_name"))
        return f"thread {name!r}"
    return ""


def callable_name(obj: Any) -> str:
    """Return the name of a function, class or module, or of the function in a wrapper."""
    if raw.is_exactly(obj, FunctionType):
        return raw.dotted(obj)
    if raw.is_exactly(obj, MethodType):
        return callable_name(obj.__func__)
    kind = type(obj)
    if issubclass(kind, type):
        return raw.type_name(obj)
    if issubclass(kind, ModuleType):
        return module_name(obj)
    if issubclass(kind, partial):
        return callable_name(dict(raw.slots(obj)).get("func"))
    known = raw.instance_dict(obj) or {}
    module, name = (raw.text(known.get(key)) for key in ("__module__", "__qualname__"))
    return f"{module}.{name}" if name else raw.type_name(kind)


def module_name(module: Any) -> str:
    """Return a module's own name."""
    return raw.text((raw.instance_dict(module) or {}).get("__name__")) or "without a name"


def frame_words(frame: FrameType) -> str:
    """Return function, file and line: ``f, file.py:12``."""
    code = frame.f_code
    return f"{code.co_name}, {Path(code.co_filename).name}:{frame.f_lineno}"
