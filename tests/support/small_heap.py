"""Keeps functions and descriptors of what has been imported out of the collector's sight.

They are half of the objects of a small process, and hold nothing that a call could add to. A
search for a leak walks all objects some thirty times.
"""

from __future__ import annotations

import ctypes
import gc
from types import (
    BuiltinFunctionType,
    ClassMethodDescriptorType,
    FunctionType,
    GetSetDescriptorType,
    MemberDescriptorType,
    MethodDescriptorType,
    WrapperDescriptorType,
)
from typing import Any, Final

_KINDS: Final = frozenset(
    map(
        id,  # hashing a type may run code of its metaclass
        (
            BuiltinFunctionType,
            ClassMethodDescriptorType,
            FunctionType,
            GetSetDescriptorType,
            MemberDescriptorType,
            MethodDescriptorType,
            WrapperDescriptorType,
        ),
    )
)


def hide_code() -> None:
    """Untrack them, for ever: the interpreter may not free what is not tracked."""
    untrack, keep = ctypes.pythonapi.PyObject_GC_UnTrack, ctypes.pythonapi.Py_IncRef
    for function in (untrack, keep):
        function.argtypes = [ctypes.py_object]
        function.restype = None
    for held in gc.get_objects():
        if id(type(held)) in _KINDS and not _holds_anything(held):
            keep(held)
            untrack(held)


def _holds_anything(held: Any) -> bool:
    """Return whether a function has a container that may grow."""
    if type(held) is not FunctionType:
        return False
    parts = (held.__defaults__, held.__kwdefaults__, held.__closure__)
    return bool(held.__dict__) or any(map(gc.is_tracked, filter(None, parts)))
