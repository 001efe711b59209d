"""Parts of the test runner that keep things for a whole session, and what they refer to."""

from __future__ import annotations

import gc
from collections.abc import Sequence
from types import BuiltinFunctionType, CodeType, FrameType, FunctionType, MethodType, ModuleType
from typing import Any, Final

from pytest_memguard.attribution import raw

MACHINERY: Final = ("_pytest", "pytest", "pluggy")
"""Packages that make up the test runner."""
Owners = Sequence[tuple[Any, str]]
"""Objects, and what each is called: ``plugin syrupy``."""
_MOST: Final = 20_000
_CODE: Final = (BuiltinFunctionType, CodeType, FrameType, FunctionType, MethodType, ModuleType)


def reached_from(owners: Owners) -> dict[int, str]:
    """Return ids of objects that plugins keep, each with its plugin.

    What is reached through modules, classes and functions, or through the test runner, is not
    attributed to a plugin.

    Args:
        owners: all parts of the test runner.
    """
    found: dict[int, str] = {id(owner): name for owner, name in owners}
    for owner, name in owners:
        if raw.class_name(type(owner))[0].partition(".")[0] in MACHINERY:
            continue
        is_module = issubclass(type(owner), ModuleType)
        waiting = [raw.instance_dict(owner) if is_module else owner]
        for _ in range(_MOST):
            if not waiting:
                break
            for held in raw.referents(waiting.pop(0)):
                if id(held) not in found and gc.is_tracked(held) and not _leads_anywhere(held):
                    found[id(held)] = name
                    waiting.append(held)
    return found


def _leads_anywhere(held: object) -> bool:
    """Return whether every object can be reached through an object."""
    kind = type(held)
    if issubclass(kind, type) or issubclass(kind, _CODE):
        return True
    return raw.class_name(kind)[0].partition(".")[0] in MACHINERY
