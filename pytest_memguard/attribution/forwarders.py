"""Recognises lines that only pass a call on to whatever they were given: wrappers, decorators.

Such a line is on the way of calls that have nothing else in common, so it cannot tell one leak
from another.
"""

from __future__ import annotations

import ast
import re
import tokenize
from collections.abc import Iterator
from functools import lru_cache
from typing import Final

_KEPT: Final = 16
"""Number of files whose lines are remembered."""
_PASSES_ON: Final = re.compile(r"(^|[(,])\s*\*")
_AROUND: Final = 4
"""How many lines before and after one a call on it may begin and end, as far as it matters."""
_Function = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
_SCOPES: Final = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)


def is_forwarder(file: str, line: int) -> bool:
    """Return whether a line calls something given to its function, with ``*args`` as given.

    Args:
        file: the source file.
        line: number of the line.
    """
    near = _source(file)[max(0, line - 1 - _AROUND) : line + _AROUND]
    return any(map(_PASSES_ON.search, near)) and line in forwarding_lines(file)


@lru_cache(maxsize=_KEPT)
def _source(file: str) -> tuple[str, ...]:
    """Return the lines of a file; none if it cannot be read."""
    try:
        with tokenize.open(file) as source:
            return tuple(source)
    except (OSError, SyntaxError, ValueError):
        return ()


@lru_cache(maxsize=_KEPT)
def forwarding_lines(file: str) -> frozenset[int]:
    """Return the lines of a file for which `is_forwarder` is true; none without a source."""
    try:
        tree = ast.parse("".join(_source(file)))
    except (SyntaxError, ValueError, RecursionError):
        return frozenset()
    return frozenset(_lines(tree, frozenset()))


def _lines(scope: ast.AST, given: frozenset[str]) -> Iterator[int]:
    """Yield the lines of calls that are passed on, in a scope and those inside of it.

    Args:
        scope: a module, class or function.
        given: names that the functions around it were given, or have made.
    """
    own = given
    if isinstance(scope, _Function):
        own |= {argument.arg for argument in _arguments(scope)}
        for call in _calls(scope):
            if _is_passed_on(call, scope, own):
                yield from range(call.lineno, (call.end_lineno or call.lineno) + 1)
    for inner in _inner(scope):
        yield from _lines(inner, own)


def _inner(scope: ast.AST) -> Iterator[ast.AST]:
    """Yield the scopes directly inside of one."""
    for child in ast.iter_child_nodes(scope):
        if isinstance(child, _SCOPES):
            yield child
        else:
            yield from _inner(child)


def _calls(function: _Function) -> Iterator[ast.Call]:
    """Yield the calls that are all of a statement: what they return is not put anywhere."""
    if isinstance(function, ast.Lambda):
        values: list[ast.AST | None] = [function.body]
    else:
        values = [_value(statement) for statement in _statements(function)]
    for value in values:
        found = value.value if isinstance(value, (ast.Await, ast.YieldFrom)) else value
        if isinstance(found, ast.Call):
            yield found


def _statements(node: ast.AST) -> Iterator[ast.stmt]:
    """Yield the statements of a function, without those of functions inside of it."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, _SCOPES):
            continue
        if isinstance(child, ast.stmt):
            yield child
        yield from _statements(child)


def _value(statement: ast.stmt) -> ast.AST | None:
    """Return what a statement evaluates, unless it stores that beyond the function."""
    if isinstance(statement, ast.Assign):
        is_local = all(isinstance(target, ast.Name) for target in statement.targets)
        return statement.value if is_local else None
    return statement.value if isinstance(statement, (ast.Return, ast.Expr)) else None


def _is_passed_on(call: ast.Call, function: _Function, given: frozenset[str]) -> bool:
    """Return whether something given is called with all that the function does not know.

    That is with its ``*args``, its ``**kwargs`` if it has them, and nothing but parameters.
    """
    called = call.func
    while isinstance(called, ast.Attribute):
        called = called.value
    if not isinstance(called, ast.Name) or called.id not in given:
        return False
    every = function.args.vararg
    stars = [one.value for one in call.args if isinstance(one, ast.Starred)]
    plain = [one for one in call.args if not isinstance(one, ast.Starred)]
    keywords = [keyword.value for keyword in call.keywords]
    own = {argument.arg for argument in _arguments(function)}
    return (
        every is not None
        and _names(stars) == [every.arg]
        and own.issuperset(_names([*plain, *keywords]))
        and (function.args.kwarg is None or function.args.kwarg.arg in _names(keywords))
    )


def _names(values: list[ast.expr]) -> list[str]:
    """Return the names that some values are; empty for what is no name."""
    return [value.id if isinstance(value, ast.Name) else "" for value in values]


def _arguments(function: _Function) -> list[ast.arg]:
    """Return all parameters of a function."""
    every = function.args
    found = [*every.posonlyargs, *every.args, every.vararg, *every.kwonlyargs, every.kwarg]
    return [argument for argument in found if argument is not None]
