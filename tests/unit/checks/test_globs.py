"""Tests of patterns: which node ids a line of mem_budgets covers."""

from __future__ import annotations

import pytest

from pytest_memguard.checks.globs import Patterns, matcher

TEST = "tests/unit/test_a.py::TestA::test_x[big/1-[2]]"

COVERS = [
    pytest.param(TEST, TEST, id="the-same"),
    pytest.param("tests", TEST, id="folder"),
    pytest.param("tests/", TEST, id="folder-with-slash"),
    pytest.param("./tests", TEST, id="folder-from-here"),
    pytest.param("tests/unit", TEST, id="folder-in-folder"),
    pytest.param("tests/unit/test_a.py", TEST, id="file"),
    pytest.param("tests/unit/test_a.py::TestA", TEST, id="class"),
    pytest.param("tests/unit/test_a.py::TestA::test_x", TEST, id="test-with-parameters"),
    pytest.param("*", TEST, id="anything"),
    pytest.param("tests/*", TEST, id="any-folder"),
    pytest.param("*/*/test_a.py", TEST, id="folder-by-folder"),
    pytest.param("tests/un?t", TEST, id="one-character"),
    pytest.param("tests/unit/test_*.py", TEST, id="part-of-a-name"),
    pytest.param("tests/**", TEST, id="everything-below"),
    pytest.param("**/test_a.py", TEST, id="in-any-folder"),
    pytest.param("**/test_a.py", "test_a.py::test_x", id="in-no-folder"),
    pytest.param("tests/**/test_a.py", TEST, id="any-folder-in-between"),
    pytest.param("tests/**/test_a.py", "tests/test_a.py::t", id="no-folder-in-between"),
    pytest.param("**test_x", TEST, id="two-stars-cross-anything"),
    pytest.param("tests/unit/*::TestA", TEST, id="any-file"),
    pytest.param("tests/unit/test_a.py::*::test_x", TEST, id="any-class"),
    pytest.param("test_a.py::t[?]", "test_a.py::t[1]", id="one-character-in-brackets"),
    pytest.param("test_a.py::t[a\n*]", "test_a.py::t[a\nb]", id="line-break"),
]

DOES_NOT_COVER = [
    pytest.param("test", TEST, id="part-of-a-folder"),
    pytest.param("unit", TEST, id="folder-not-from-the-root"),
    pytest.param("tests/unit/test_a", TEST, id="file-without-ending"),
    pytest.param("tests/unit/test_axpy", TEST, id="point-is-a-point"),
    pytest.param("tests/unit/test_a.py::Test", TEST, id="part-of-a-class"),
    pytest.param("tests/unit/test_a.py::test_x", TEST, id="test-outside-its-class"),
    pytest.param("tests/*/test_b.py", TEST, id="other-file"),
    pytest.param("tests*test_a.py", TEST, id="one-star-stays-in-its-folder"),
    pytest.param("tests?unit", TEST, id="question-mark-is-no-slash"),
    pytest.param("**/unit/test_b.py", TEST, id="other-file-in-any-folder"),
    pytest.param("test_a.py::t[12]", "test_a.py::t1", id="brackets-are-no-set"),
    pytest.param("tests/unit/test_a.py", "TESTS/unit/test_a.py", id="other-case"),
]


@pytest.mark.parametrize(("glob", "nodeid"), COVERS)
def test_covers(glob, nodeid) -> None:
    """A pattern covers what it matches whole, and everything below that."""
    assert matcher(glob)(nodeid) is True


@pytest.mark.parametrize(("glob", "nodeid"), DOES_NOT_COVER)
def test_does_not_cover(glob, nodeid) -> None:
    """A pattern covers nothing that it matches only in part."""
    assert matcher(glob)(nodeid) is False


@pytest.mark.parametrize(("glob", "nodeid"), COVERS + DOES_NOT_COVER)
def test_one_of_many(glob, nodeid) -> None:
    """Among others a pattern covers what it covers alone, in the order of all patterns."""
    globs = ["other.py", glob, "**", f"{glob}/", "other/*"]
    expected = [1, 2, 3] if matcher(glob)(nodeid) else [2]
    assert Patterns(globs).covering(nodeid) == expected
