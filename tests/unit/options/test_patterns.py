"""Tests of patterns: which make sense, and the messages for the others."""

from __future__ import annotations

import pytest

from pytest_memguard.errors import ConfigError
from pytest_memguard.options.patterns import name_pattern, node_pattern

NO_TEXT = "is not a pattern: write a node id, a path, or one with * or ?"
NO_PATH = (
    "is not a pattern of node ids: write a path relative to the root folder, as tests/unit"
)
NOT_CLOSED = (
    "is not a pattern of node ids: "
    "close its bracket (test_x[1]), or put * behind it (test_x[1*)"
)
NOT_OPENED = "is not a pattern of node ids: open its bracket (test_x[1])"
BACKSLASH = "is not a pattern of node ids: write / between folders, not \\"


@pytest.mark.parametrize(
    "pattern",
    [
        pytest.param("tests", id="folder"),
        pytest.param("./tests/", id="folder-from-here"),
        pytest.param("../other/test_a.py", id="folder-above"),
        pytest.param("**", id="everything"),
        pytest.param("test_a.py::t[1]", id="parameters"),
        pytest.param("test_a.py::t[a[0]", id="bracket-in-parameters"),
        pytest.param("test_a.py::t[[]", id="opening-bracket-as-parameter"),
        pytest.param("test_a.py::t[]]", id="closing-bracket-as-parameter"),
        pytest.param("test_a.py::t[1*", id="parameters-that-begin-so"),
        pytest.param("test_a.py::t[?", id="any-character-behind-a-bracket"),
        pytest.param("test_a.py::*1]", id="parameters-that-end-so"),
        pytest.param(r"test_a.py::t[a\nb]", id="backslash-in-parameters"),
        pytest.param("cases.yaml::case [draft", id="name-of-another-collector"),
        pytest.param("[id]/test_a.py", id="folder-with-brackets"),
    ],
)
def test_node_pattern(pattern) -> None:
    """A pattern that some node id can match is taken, without the blanks around it."""
    assert pattern == node_pattern(f" {pattern} ")


@pytest.mark.parametrize(
    ("written", "problem"),
    [
        pytest.param("", NO_TEXT, id="empty"),
        pytest.param(" \t", NO_TEXT, id="blank"),
        pytest.param(5, NO_TEXT, id="number"),
        pytest.param(None, NO_TEXT, id="none"),
        pytest.param(["tests"], NO_TEXT, id="list"),
        pytest.param("/", NO_PATH, id="root"),
        pytest.param("./", NO_PATH, id="nothing-but-here"),
        pytest.param("/home/me/tests", NO_PATH, id="absolute"),
        pytest.param("tests\\unit", BACKSLASH, id="backslash"),
        pytest.param("test_a.py::t[1", NOT_CLOSED, id="not-closed"),
        pytest.param("*.py::t[", NOT_CLOSED, id="not-closed-behind-a-star"),
        pytest.param("test_a.py::t[a[", NOT_CLOSED, id="second-bracket-not-closed"),
        pytest.param("test_a.py::t1]", NOT_OPENED, id="not-opened"),
    ],
)
def test_node_pattern_refuses(written, problem) -> None:
    """A pattern that no node id can match is refused, quoted, with what to write instead."""
    with pytest.raises(ConfigError) as caught:
        node_pattern(written)
    assert f"{written!r} {problem}" == str(caught.value)


@pytest.mark.parametrize(
    "pattern",
    [
        pytest.param("feed.*", id="module"),
        pytest.param("*/feed.py", id="file"),
        pytest.param("[ab]*", id="set"),
        pytest.param("[!ab]", id="all-but-a-set"),
        pytest.param("[]]", id="set-of-a-closing-bracket"),
        pytest.param("[!]a]", id="all-but-a-closing-bracket"),
        pytest.param("[!!]", id="all-but-an-exclamation-mark"),
        pytest.param("[[]a", id="set-of-an-opening-bracket"),
        pytest.param("a]", id="closing-bracket-alone"),
    ],
)
def test_name_pattern(pattern) -> None:
    """A pattern as `fnmatch` reads it is taken, without the blanks around it."""
    assert pattern == name_pattern(f" {pattern} ")


@pytest.mark.parametrize("written", ["", "  ", 5, None, ["a"]])
def test_name_pattern_refuses_what_is_no_text(written) -> None:
    """An empty pattern, or one that is no text, is refused, with an example."""
    with pytest.raises(ConfigError) as caught:
        name_pattern(written)
    assert str(caught.value) == (
        f"{written!r} is not a pattern: write one as 'feed.*' or '*/feed.py'"
    )


@pytest.mark.parametrize("written", ["[", "[a", "a[", "[]", "[!]", "[]a", "[!", "[ab][c"])
def test_name_pattern_refuses_an_open_bracket(written) -> None:
    """A set that is never closed is refused: `fnmatch` would take it for a mere bracket."""
    with pytest.raises(ConfigError) as caught:
        name_pattern(written)
    assert str(caught.value) == (
        f"{written!r} is not a pattern: close its bracket, or write [[] for a bracket"
    )
