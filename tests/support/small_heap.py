"""Keeps what has been imported, as far as nothing can grow in it, out of the collector's sight.

Functions, descriptors, tuples and the like are two thirds of the objects of a small process. A
search for a leak walks all objects some thirty times.
"""

from __future__ import annotations

import ctypes
import gc
from importlib.machinery import ModuleSpec, SourceFileLoader
from types import (
    BuiltinFunctionType,
    CellType,
    ClassMethodDescriptorType,
    FunctionType,
    GetSetDescriptorType,
    MemberDescriptorType,
    MethodDescriptorType,
    WrapperDescriptorType,
)
from typing import Any, Final
from weakref import ReferenceType


def _ids(*kinds: type) -> frozenset[int]:
    """Their ids: hashing a type may run code of its metaclass."""
    return frozenset(map(id, kinds))


_DESCRIPTORS: Final = _ids(
    BuiltinFunctionType,
    ClassMethodDescriptorType,
    GetSetDescriptorType,
    MemberDescriptorType,
    MethodDescriptorType,
    WrapperDescriptorType,
)
_HOLDERS: Final = _ids(
    CellType,
    ModuleSpec,
    ReferenceType,
    SourceFileLoader,
    classmethod,
    frozenset,
    property,
    staticmethod,
    tuple,
)
_GROW_UNTRACKED: Final = _ids(bytearray, dict)
_TURNS: Final = 3
"""How often the objects are searched: holders of others are hidden after them."""


def hide_code() -> None:
    """Untrack them, for ever: the interpreter may not free what is not tracked."""
    untrack, keep = ctypes.pythonapi.PyObject_GC_UnTrack, ctypes.pythonapi.Py_IncRef
    for function in (untrack, keep):
        function.argtypes = [ctypes.py_object]
        function.restype = None
    gc.collect()  # the interpreter untracks some itself, and nothing else may be freed later
    for _ in range(_TURNS):
        for held in gc.get_objects():
            if _is_constant(held):
                keep(held)
                untrack(held)


def _is_constant(held: Any) -> bool:
    kind = id(type(held))
    if kind in _DESCRIPTORS:
        return True
    if kind == id(FunctionType):
        parts = (held.__defaults__, held.__kwdefaults__, held.__closure__)
        return not held.__dict__ and not any(map(gc.is_tracked, filter(None, parts)))
    return kind in _HOLDERS and not any(map(_may_grow, gc.get_referents(held)))


def _may_grow(held: Any) -> bool:
    kind = type(held)
    if issubclass(kind, type):
        return False
    return gc.is_tracked(held) or id(kind) in _GROW_UNTRACKED
