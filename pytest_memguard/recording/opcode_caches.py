"""On CPython 3.10, keeps functions from making a cache at their 1,024th call."""

from __future__ import annotations

import ctypes
import gc
import sys
from collections.abc import Iterator
from functools import cache
from types import CodeType, FunctionType, ModuleType
from typing import Any, Final

_WARM: Final = 1024
_VERSION: Final = 0x030A


class _Code(ctypes.Structure):
    """CPython 3.10's PyCodeObject up to the number of calls that have been counted."""

    _fields_ = (
        ("head", ctypes.c_ssize_t * 2),
        ("numbers", ctypes.c_int * 7),
        ("pointers", ctypes.c_void_p * 15),
        ("calls", ctypes.c_int),
    )


class OpcodeCaches:
    """Takes functions for warm, so that none becomes so while a test is repeated.

    CPython 3.10 counts the calls of each function and makes a cache of some blocks for it at
    the 1,024th; later versions need none. A test takes pytest through some hundred
    functions, so for a thousand repetitions there is growth that nobody can tell from that
    of a test. A function that is taken for warm beforehand has no cache: looking up a global
    name takes it longer, and nothing else is different.
    """

    def __init__(self) -> None:
        self._modules = -1

    def forgo(self) -> None:
        """Do so for every function there is, unless no module has come since the last time."""
        if self._modules == len(sys.modules) or not _is_counted():
            return
        self._modules = len(sys.modules)
        seen: set[int] = set()
        codes = [function.__code__ for function in _functions()]
        while codes:
            code = codes.pop()
            if id(code) in seen:
                continue
            seen.add(id(code))
            codes += [const for const in code.co_consts if type(const) is CodeType]
            found = _Code.from_address(id(code))
            found.calls = max(found.calls, _WARM)


def _functions() -> Iterator[FunctionType]:
    """Every function; where the heap is frozen, those that modules and classes have."""
    yield from (held for held in gc.get_objects() if type(held) is FunctionType)
    if not gc.get_freeze_count():
        return
    for module in list(sys.modules.values()):
        if type(module) is not ModuleType:  # others may load what they stand for
            continue
        for held in list(vars(module).values()):
            inside = (
                list(type.__getattribute__(held, "__dict__").values())
                if _is_class(held)
                else [held]
            )
            yield from filter(None, map(_function_of, inside))


def _is_class(held: object) -> bool:
    return issubclass(type(held), type)


def _function_of(held: object) -> FunctionType | None:
    """The function that this is, or is made of; no attribute of anything else is asked for."""
    if type(held) in {staticmethod, classmethod}:
        held = held.__func__  # type: ignore[attr-defined]
    elif type(held) is property:
        held = held.fget
    return held if type(held) is FunctionType else None


@cache
def _is_counted() -> bool:
    """Whether this interpreter counts calls, in the place that is known."""
    if sys.implementation.name != "cpython" or sys.hexversion >> 16 != _VERSION:
        return False
    namespace: dict[str, Any] = {}
    exec("def tried(): return len", namespace)  # noqa: S102  whose calls nobody has counted
    tried = namespace["tried"]
    code = _Code.from_address(id(tried.__code__))
    counts = [code.calls]
    for times in (1, 10):
        for _ in range(times):
            tried()
        counts.append(code.calls)
    return counts == [0, 1, 11]
