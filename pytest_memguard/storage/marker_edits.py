"""Puts ``mem_budget`` markers into the source of tests, and changes nothing else of it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from typing import Final, TypeAlias

from pytest_memguard.errors import ConfigError
from pytest_memguard.sizes import MIB
from pytest_memguard.units import parse_size
from pytest_memguard.values import dataclass

_LINE: Final = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+\Z")
_MARKER: Final = "mem_budget"
_OTHER_NUMBERS: Final = frozenset({"metric", "phase", "stage"})
_Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkedSource:
    """The source of a test file after its markers were edited."""

    text: str
    """All of it."""
    changed: tuple[str, ...] = ()
    """The tests whose markers are new or have another limit."""
    left: Mapping[str, str]
    """Why other tests were left as they are, by their names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Edit:
    """A change of one line, or a new line above it."""

    line: int
    """Number of the line, from 0."""
    text: str
    """The line as it is to be, or the new one."""
    is_new: bool = False
    """Whether it is a new one."""
    comes_first: bool = False
    """Whether it stands above other new lines."""


def with_markers(
    source: str, budgets: Mapping[str, int], updated: Mapping[str, int]
) -> MarkedSource:
    """Return a source with markers for the budgets of its tests.

    Decorators are found by their positions in the syntax tree. What comes out is parsed again:
    it has the same tree but for the markers, and an import of pytest if there was none.

    Args:
        source: of a test file.
        budgets: MiB by the name of a test in the file: "TestRows::test_load".
        updated: MiB of tests that get no marker, but whose own is updated.

    Raises:
        ConfigError: if it is no Python, or cannot be edited without another change.
    """
    mark = "\ufeff" if source.startswith("\ufeff") else ""
    text = source.removeprefix(mark)
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError) as error:
        msg = f"it cannot be parsed: {error}"
        raise ConfigError(msg) from error
    lines = _LINE.findall(text)  # as Python's parser counts them
    prefix = _prefix(tree)
    edits: list[_Edit] = []
    left: dict[str, str] = {}
    changed = []
    for name, mebibytes in {**updated, **budgets}.items():
        edit = _edit_of(mebibytes, _definitions(tree, name), lines, prefix)
        if isinstance(edit, str):
            if name in budgets:
                left[name] = edit
        elif edit is not None and (name in budgets or not edit.is_new):
            edits.append(edit)
            changed.append(name)
    if not prefix and any(edit.is_new for edit in edits):
        edits.append(_import_of_pytest(tree, lines))
    after = _applied(lines, edits)
    if not _is_same(tree, after):
        msg = "it cannot be edited safely"
        raise ConfigError(msg)
    return MarkedSource(text=mark + after, changed=tuple(changed), left=left)


def _edit_of(
    mebibytes: int, found: list[_Function], lines: list[str], prefix: str
) -> _Edit | str | None:
    """Return the edit for one test, nothing if it has that budget, or why there is none."""
    if len(found) != 1:
        return "it is defined several times" if found else "it is not defined in this file"
    (function,) = found
    mine = [
        node
        for node in function.decorator_list
        if isinstance(node, ast.Call) and _is_marker(node) and _is_of_call(node)
    ]
    if mine:
        return _updated(mine, mebibytes, lines)
    first = min([function.lineno, *(d.lineno for d in function.decorator_list)]) - 1
    code = lines[first]
    indent = code[: len(code) - len(code.lstrip())]
    new = f'{indent}@{prefix or "pytest.mark"}.{_MARKER}("{mebibytes} MiB")'
    return _Edit(line=first, text=new + _end_of(code), is_new=True)


def _updated(markers: list[ast.Call], mebibytes: int, lines: list[str]) -> _Edit | str | None:
    """Return the edit of a marker that is there, nothing, or why there is none."""
    limit = _limit_of(markers[0])
    if len(markers) > 1 or not isinstance(limit, ast.Constant):
        return f"the limit of its {_MARKER} is no single constant"
    if not limit.value:
        return f"its {_MARKER} switches budgets off"
    if limit.lineno != limit.end_lineno:
        return f"the limit of its {_MARKER} spans several lines"
    is_number = isinstance(limit.value, int | float)
    text = str(mebibytes) if is_number else f'"{mebibytes} MiB"'
    code = lines[limit.lineno - 1].encode()
    edited = code[: limit.col_offset] + text.encode() + code[limit.end_col_offset or 0 :]
    if parse_size(limit.value) == mebibytes * MIB or edited == code:
        return None
    return _Edit(line=limit.lineno - 1, text=edited.decode())


def _is_marker(node: ast.expr) -> bool:
    function = node.func if isinstance(node, ast.Call) else node
    return isinstance(function, ast.Attribute) and function.attr == _MARKER


def _is_of_call(call: ast.Call) -> bool:
    """Whether a marker limits the resident memory of the call, as suggestions do."""
    return not _OTHER_NUMBERS & {keyword.arg or "" for keyword in call.keywords}


def _limit_of(call: ast.Call) -> ast.expr | None:
    named = (keyword.value for keyword in call.keywords if keyword.arg == "limit")
    return call.args[0] if call.args else next(named, None)


def _definitions(tree: ast.Module, name: str) -> list[_Function]:
    """Return the functions of a name such as "TestRows::test_load", in whatever branch."""
    bodies: list[ast.AST] = [tree]
    *classes, last = name.split("::")
    for part in classes:
        bodies = [
            node
            for body in bodies
            for node in _statements(body)
            if isinstance(node, ast.ClassDef) and node.name == part
        ]
    return [
        node
        for body in bodies
        for node in _statements(body)
        if isinstance(node, _Function) and node.name == last
    ]


def _statements(body: ast.AST) -> Iterator[ast.stmt]:
    """Yield the statements of a module or class, and those in its branches."""
    for node in ast.iter_child_nodes(body):
        if isinstance(node, ast.stmt):
            yield node
        if isinstance(node, ast.If | ast.Try | ast.With | ast.ExceptHandler | ast.For):
            yield from _statements(node)


def _prefix(tree: ast.Module) -> str:
    """Return what ``pytest.mark`` is called in a module; empty if it has no name there."""
    for node in tree.body:
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name == "pytest":
                    return f"{alias.asname or alias.name}.mark"
        elif isinstance(node, ast.ImportFrom) and node.module == "pytest" and not node.level:
            for alias in node.names:
                if alias.name == "mark":
                    return alias.asname or alias.name
    return ""


def _import_of_pytest(tree: ast.Module, lines: list[str]) -> _Edit:
    """Return the edit that imports pytest, below the docstring and imports of the future."""
    for node in tree.body:
        is_docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        is_future = isinstance(node, ast.ImportFrom) and node.module == "__future__"
        if not (is_docstring or is_future):
            decorators = getattr(node, "decorator_list", ())
            line = min([node.lineno, *(d.lineno for d in decorators)]) - 1
            blank = not isinstance(node, ast.Import | ast.ImportFrom)
            end = _end_of(lines[line])
            text = f"import pytest{end}{end * 2 * blank}"
            return _Edit(line=line, text=text, is_new=True, comes_first=True)
    msg = "it has no statements"
    raise ConfigError(msg)


def _end_of(line: str) -> str:
    return "\r\n" if line.endswith("\r\n") else "\n"


def _applied(lines: list[str], edits: list[_Edit]) -> str:
    """Return the text after all edits; new lines for the same place keep their order."""
    above: dict[int, list[str]] = {}
    after = list(lines)
    for edit in edits:
        if edit.is_new:
            at = 0 if edit.comes_first else len(above.get(edit.line, ()))
            above.setdefault(edit.line, []).insert(at, edit.text)
        else:
            after[edit.line] = edit.text
    return "".join("".join(above.get(number, ())) + line for number, line in enumerate(after))


def _is_same(tree: ast.Module, after: str) -> bool:
    """Whether a source has the tree of another one but for markers and an import of pytest."""
    try:
        return _bare(tree) == _bare(ast.parse(after))
    except (SyntaxError, ValueError, RecursionError):
        return False


def _bare(tree: ast.Module) -> str:
    """Return a tree as text, without our markers and without plain imports of pytest."""
    copy = ast.parse(ast.unparse(tree))
    copy.body = [
        node
        for node in copy.body
        if not (isinstance(node, ast.Import) and [a.name for a in node.names] == ["pytest"])
    ]
    for node in ast.walk(copy):
        if isinstance(node, _Function):
            node.decorator_list = [d for d in node.decorator_list if not _is_marker(d)]
    return f"{ast.get_docstring(tree)!r} {ast.dump(copy)}"
