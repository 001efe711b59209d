"""No code reads a sentence to decide: texts are made last, from values."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import pytest_memguard

FOLDER = Path(pytest_memguard.__file__).parent
TEXTS = frozenset({"accepted", "bounded", "note", "notes", "reason", "remark", "text"})
"""Attributes of findings, verdicts, gaps and leaks that are written for people."""
READS = frozenset(
    {
        "endswith",
        "find",
        "partition",
        "removeprefix",
        "removesuffix",
        "rpartition",
        "split",
        "startswith",
    }
)
"""Methods that search a text."""


def is_text(node: ast.expr) -> bool:
    """Whether an expression is one of those attributes."""
    return isinstance(node, ast.Attribute) and node.attr in TEXTS


def readings_of(tree: ast.AST) -> Iterator[int]:
    """Lines that search a text, or compare it with others."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare):
            searches = any(isinstance(operator, ast.In | ast.NotIn) for operator in node.ops)
            if searches and any(map(is_text, (node.left, *node.comparators))):
                yield node.lineno
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            function = node.func
            if function.attr in READS and is_text(function.value):
                yield node.lineno


def test_no_sentence_decides() -> None:
    """States, kinds and reasons are values of their own."""
    found = [
        f"{path.relative_to(FOLDER)}:{line}"
        for path in sorted(FOLDER.rglob("*.py"))
        for line in readings_of(ast.parse(path.read_text(encoding="utf-8")))
    ]
    assert found == []


@pytest.mark.parametrize(
    "code",
    [
        "finding.text.endswith('over')",
        "'over' in finding.text",
        "note not in diagnosis.notes",
        "verdict.reason.removesuffix('.')",
    ],
)
def test_it_would_be_seen(code) -> None:
    """Each way to read one is found."""
    assert list(readings_of(ast.parse(code))) == [1]
