"""Growth that no container shows: module variables, context variables, exit functions."""

from __future__ import annotations

import atexit
from array import array
from collections import Counter
from collections.abc import Callable
from contextvars import copy_context
from functools import partial
from typing import Any, Final

from pytest_memguard.attribution import naming, raw
from pytest_memguard.model.leaks import RetentionPath

# by id, since hashing the type of a value may run its metaclass's code
_KINDS: Final = frozenset(map(id, (str, bytes, bytearray, array, tuple, frozenset, int)))
_EXIT: Final = "functions registered with atexit"
_ATEXIT: Final = "atexit"
_CONTEXT: Final = "context variables"
_MANY: Final = 6
"""If so many context variables have values of one type, each call is taken to make one."""


def module_values() -> dict[str, int]:
    """Return lengths of module variables that grow by being replaced or in place.

    The garbage collector tracks few of them. The numbers of exit functions and of context
    variables are among them: nothing visible holds the former, and a variable whose value is
    not tracked is not tracked either.
    """
    found = {_EXIT: exit_functions(), _CONTEXT: _context_variables()}
    found |= {f"{_CONTEXT} of {kind}": count for kind, count in _kinds_in_context().items()}
    for name, variable, value in _variables():
        found[f"{name} {variable}"] = extent(value)
    return found


class Value:
    """Something that has a length, though it is no container.

    Args:
        length: returns the present length.
    """

    def __init__(self, length: Callable[[], int]) -> None:
        self.length = length


def is_value(growing_container: object) -> bool:
    """Return whether something grows of which no object is known."""
    return growing_container is None or type(growing_container) is Value


def extent(value: Any) -> int:
    """Return the length of a value; for a whole number, its bytes."""
    if type(value) is int:
        return (value.bit_length() + 7) // 8
    # no subclass, which might have a length of its own
    known = id(type(value)) in _KINDS
    return len(value) if known else raw.length(value) or 0


def length_of(growing_container: object) -> int:
    """Return the present length of a container or a `Value`."""
    if type(growing_container) is Value:
        return growing_container.length()
    return raw.length(growing_container) or 0


def grown_value(then: dict[str, int], least: int) -> tuple[RetentionPath, Value, int] | None:
    """Return what grew most since `module_values`, and by how much.

    Args:
        then: what `module_values` returned.
        least: the least growth.
    """
    found = grown_values(then, least)
    if not found:
        return None
    path, _, value, growth = max(found, key=lambda one: (one[0].holder == _ATEXIT, one[3]))
    return path, value, growth


def grown_values(
    then: dict[str, int], least: int
) -> list[tuple[RetentionPath, object, Value, int]]:
    """Return all that grew since `module_values`: path, object, its length, and by how much.

    Args:
        then: what `module_values` returned.
        least: the least growth.
    """
    found: list[tuple[RetentionPath, object, Value, int]] = []
    more = exit_functions() - then[_EXIT]
    if more >= least:
        steps = ("module atexit", f"{_EXIT}: {more} more")
        path = RetentionPath(steps=steps, holder=_ATEXIT)
        found.append((path, None, Value(exit_functions), more))
    more = _context_variables() - then[_CONTEXT]
    if more >= least:
        steps = (_CONTEXT, f"{_CONTEXT} of this thread: {more} more")
        kind = _kind_that_grew(then)
        holder = f"{_CONTEXT}, made by each call, of {kind}" if kind else _CONTEXT
        path = RetentionPath(steps=steps, holder=holder, never_evicts=bool(kind))
        found.append((path, copy_context(), Value(_context_variables), more))
    seen: set[int] = set()
    for name, variable, value in _variables():
        before = then.get(f"{name} {variable}")
        growth = 0 if before is None else extent(value) - before
        if growth < least or id(value) in seen:
            continue
        seen.add(id(value))
        path = RetentionPath(
            steps=(f"module {name}", f"{variable} ({naming.described(value)})"),
            holder=f"{name}.{variable}",
        )
        length = partial(_length_now, name, variable)
        found.append((path, value, Value(length), growth))
    return found


def exits_grew(then: dict[str, int], least: int) -> bool:
    """Return whether more functions are registered with atexit than before.

    Args:
        then: what `module_values` returned.
        least: the least growth.
    """
    return exit_functions() - then[_EXIT] >= least


def is_atexit(path: RetentionPath) -> bool:
    """Return whether a path leads to the functions registered with atexit."""
    return path.holder == _ATEXIT


def _length_now(name: str, variable: str) -> int:
    known = raw.instance_dict(dict(raw.modules()).get(name)) or {}
    return extent(known.get(variable))


def _variables() -> list[tuple[str, str, Any]]:
    return [
        (name, variable, value)
        for name, module in raw.modules()
        for variable, value in raw.items(raw.instance_dict(module) or {})
        if type(variable) is str and id(type(value)) in _KINDS
    ]


def exit_functions() -> int:
    """Return how many functions are registered with atexit."""
    count = getattr(atexit, "_ncallbacks", int)()
    return count if type(count) is int else 0


def _context_variables() -> int:
    return len(copy_context())


def _kinds_in_context() -> Counter[str]:
    return Counter(raw.type_name(type(value)) for value in copy_context().values())


def _kind_that_grew(then: dict[str, int]) -> str:
    """Return the type for whose values each call makes a context variable, or nothing."""
    kinds = _kinds_in_context()
    more = Counter({k: n - then.get(f"{_CONTEXT} of {k}", 0) for k, n in kinds.items()})
    kind, count = more.most_common(1)[0]
    return kind if count >= _MANY else ""
