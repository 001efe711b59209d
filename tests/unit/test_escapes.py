"""Tests of the escapes: what is written of a text at each place."""

from __future__ import annotations

import pytest

from pytest_memguard.escapes import (
    command_data,
    command_property,
    csv_cell,
    label_value,
    one_line,
    storable,
    tsv_cell,
    visible,
    well_formed,
)


@pytest.mark.parametrize(
    ("text", "written"),
    [
        pytest.param("", "", id="empty"),
        pytest.param("test_it.py::test[a-1]", "test_it.py::test[a-1]", id="usual"),
        pytest.param("\u00fc \u4e2d \U0001f600", "\u00fc \u4e2d \U0001f600", id="not-ascii"),
        pytest.param("a\nb\rc\td", r"a\nb\rc\td", id="line-breaks"),
        pytest.param("a\u2028b\u2029c\x85d", r"a\u2028b\u2029c\x85d", id="separators"),
        pytest.param("\x1b[31mred\x9b0m\0", r"\x1b[31mred\x9b0m\x00", id="controls"),
        pytest.param("a\u202eb\u2066c\u200f", r"a\u202eb\u2066c\u200f", id="directions"),
        pytest.param("a\udc80\ud800", r"a\udc80\ud800", id="halves"),
        pytest.param("::error::x", r"\x3a:error::x", id="command"),
        pytest.param("  ::error::x", r"  \x3a:error::x", id="command-behind-spaces"),
        pytest.param("\u00a0::error::x", r"\xa0::error::x", id="command-behind-a-space"),
        pytest.param("a ::error::x", "a ::error::x", id="not-at-the-beginning"),
        pytest.param("a ##[error]x", r"a \x23#[error]x", id="old-command"),
        pytest.param("##vso[x]##[y]", r"\x23#vso[x]\x23#[y]", id="azure"),
        pytest.param("## a [b]", "## a [b]", id="no-old-command"),
    ],
)
def test_one_line(text, written) -> None:
    """A line of an output shows what it holds, and nothing acts on it, however often."""
    assert written == one_line(text)
    assert written == one_line(written)


@pytest.mark.parametrize(
    ("write", "text", "written"),
    [
        pytest.param(visible, "::a\n", r"::a\n", id="visible"),
        pytest.param(command_data, "10%\r\n::a\u2028", r"10%25%0D%0A::a\u2028", id="data"),
        pytest.param(command_property, "a,b:c\n", "a%2Cb%3Ac%0A", id="property"),
        pytest.param(tsv_cell, "a\\n\n\t", r"a\\n\n\t", id="tsv"),
        pytest.param(tsv_cell, "::a", r"\x3a:a", id="tsv-command"),
        pytest.param(tsv_cell, "\u00a0::a", "\u00a0\\x3a:a", id="tsv-command-behind-a-space"),
        pytest.param(csv_cell, 'a,"b"\n', '"a,""b""\\n"', id="csv"),
        pytest.param(csv_cell, " ::a", '" ::a"', id="csv-command"),
        pytest.param(csv_cell, "a\\n", "a\\n", id="csv-backslash"),
        pytest.param(csv_cell, "\uaaf7\u00a0", "\uaaf7\u00a0", id="csv-harmless"),
        pytest.param(label_value, 'a\\"\n', r"a\\\"\\n", id="label"),
        pytest.param(well_formed, "\u00fc\n\udc80", "\u00fc\n\\udc80", id="well-formed"),
        pytest.param(storable, "a\0\udc80\n", "a\\x00\\udc80\n", id="storable"),
    ],
)
def test_written(write, text, written) -> None:
    """Each place has its own way to write what would break it."""
    assert written == write(text)
