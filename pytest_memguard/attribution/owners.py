"""Finds the module that an object belongs to: the one whose code makes it."""

from __future__ import annotations

import ast
import re
import tokenize
from collections.abc import Iterator, Sequence
from enum import IntEnum
from functools import lru_cache
from types import ModuleType
from typing import Any, Final

from pytest_memguard.attribution import raw
from pytest_memguard.attribution.edges import key_of

_FUNCTIONS: Final = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
_LARGEST: Final = 4_000_000
"""Characters of the largest source file that is read."""
_TESTS: Final = 2
"""The rank of test modules, the highest rank of modules that may have made what they hold."""
_FILES: Final = 64
"""Number of files whose answers are kept: names are asked for once, but of the same modules."""


class Ownership(IntEnum):
    """How a module relates to an object that it has a name for; the lower, the nearer."""

    MAKES = 0
    """Its code assigns something that it makes to the name."""
    RENAMES = 1
    """Its code assigns something that has a name elsewhere."""
    UNKNOWN = 2
    """There is no source."""
    IMPORTS = 3
    """Its code does not assign to the name."""


Claim = tuple[int, int, int, bool, str]
"""How strong a claim to an object is; the lower, the stronger."""


def claim(rank: int, name: str, holder: Any, objects: Sequence[Any]) -> Claim:
    """Return how strong the claim of a chain's root to what it holds is.

    The answer must not depend on which other modules were imported. So a module whose code
    makes the object comes first, whether in a package or a test; then one of the package that
    has the object's type.

    Args:
        rank: rank of the root.
        name: name of the root.
        holder: the root itself, a module rather than its namespace.
        objects: the chain, from the root down.
    """
    belongs, is_strange = Ownership.MAKES, False
    if issubclass(type(holder), ModuleType):
        namespace = raw.instance_dict(holder) or {}
        around = (id(holder), id(namespace))
        held = next((one for one in objects if id(one) not in around), None)
        variable = key_of(namespace, held)
        belongs = ownership(holder, variable) if variable else Ownership.UNKNOWN
        package = raw.class_name(type(held))[0].partition(".")[0]
        is_strange = package != name.partition(".")[0]
    return (max(rank, _TESTS), belongs, rank, is_strange, name)


def ownership(module: ModuleType, name: str) -> Ownership:
    """Return what a module's source does with one of its variables.

    Args:
        module: the module.
        name: the variable.
    """
    file = raw.text((raw.instance_dict(module) or {}).get("__file__"))
    return _ownership(file, name) if file.endswith(".py") else Ownership.UNKNOWN


@lru_cache(maxsize=_FILES)
def _ownership(file: str, name: str) -> Ownership:
    try:
        with tokenize.open(file) as source:
            text = source.read(_LARGEST)
        if not re.search(rf"\b{re.escape(name)}\b", text):
            return Ownership.IMPORTS  # by a star, or from outside
        tree = ast.parse(text)
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        return Ownership.UNKNOWN
    values = list(_values(tree.body, name, is_global=True))
    if any(not isinstance(value, (ast.Name, ast.Attribute)) for value in values):
        return Ownership.MAKES
    return Ownership.RENAMES if values else Ownership.IMPORTS


def _values(body: list[ast.stmt], name: str, *, is_global: bool) -> Iterator[ast.AST | None]:
    """Yield what statements assign to a variable; ``None`` if it is no expression."""
    for statement in body:
        if isinstance(statement, (*_FUNCTIONS, ast.ClassDef)):
            if is_global and statement.name == name:
                yield None
            inner = statement.body
            if isinstance(statement, _FUNCTIONS) and _declares(statement, name):
                yield from _values(inner, name, is_global=True)
            else:
                yield from _values(inner, name, is_global=False)
            continue
        if is_global:
            yield from _assigned(statement, name)
        for inner_body in _bodies(statement):
            yield from _values(inner_body, name, is_global=is_global)


def _declares(function: ast.AST, name: str) -> bool:
    return any(
        isinstance(node, ast.Global) and name in node.names for node in ast.walk(function)
    )


def _bodies(statement: ast.stmt) -> Iterator[list[ast.stmt]]:
    for field in ("body", "orelse", "finalbody"):
        yield getattr(statement, field, [])
    for part in (*getattr(statement, "handlers", []), *getattr(statement, "cases", [])):
        yield part.body


def _assigned(statement: ast.stmt, name: str) -> Iterator[ast.AST | None]:
    targets: list[ast.expr] = []
    value: ast.AST | None = None
    if isinstance(statement, ast.Assign):
        targets, value = statement.targets, statement.value
    elif isinstance(statement, (ast.AnnAssign, ast.AugAssign)):
        if statement.value is None:
            return
        targets, value = [statement.target], statement.value
    elif isinstance(statement, (ast.For, ast.AsyncFor)):
        targets = [statement.target]
    elif isinstance(statement, (ast.With, ast.AsyncWith)):
        targets = [item.optional_vars for item in statement.items if item.optional_vars]
    for target in targets:
        if isinstance(target, ast.Name) and target.id == name:
            yield value
        elif isinstance(target, (ast.Tuple, ast.List, ast.Starred)) and _has(target, name):
            yield None


def _has(target: ast.expr, name: str) -> bool:
    return any(isinstance(node, ast.Name) and node.id == name for node in ast.walk(target))
