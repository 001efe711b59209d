"""Tests of the pieces of Markdown, read back by a parser of tables and code spans."""

from __future__ import annotations

import html
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from pytest_memguard.report.markdown_blocks import code, details, fit, plain, table

PARSER = MarkdownIt("commonmark").enable("table")
NAMES = st.text(
    st.one_of(st.sampled_from("`|\\<>&*_[]()#!@~$ \n\t\r-:;=\"'"), st.characters()),
    max_size=40,
)


def cells(markdown: str) -> list[str]:
    """What a reader sees in the cells of a table's only row."""
    page = PARSER.render(markdown)
    found = re.findall(r"<td[^>]*>(.*?)</td>", page, re.DOTALL)
    return [html.unescape(re.sub(r"<[^>]*>", "", cell)) for cell in found]


def seen(name: str) -> str:
    """A name with escapes for what cannot be printed."""
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in name
    )


@given(name=NAMES)
def test_names_survive_in_tables(name) -> None:
    """The cell shows the name of any test, and the row keeps its cells."""
    row = cells("\n".join(table(["a", "b", "c"], [["1", code(name), "3"]])))
    assert ["1", seen(name).strip(), "3"] == [cell.strip() for cell in row]


@given(text=NAMES)
def test_sentences_survive_in_tables(text) -> None:
    """The cell shows any sentence, with single spaces."""
    row = cells("\n".join(table(["a", "b", "c"], [["1", plain(text), "3"]])))
    assert len(row) == 3
    assert " ".join(text.split()) == row[1].strip() or not text.isprintable()


@pytest.mark.parametrize(
    ("name", "written"),
    [
        pytest.param("test_it.py::test[a-1]", "`test_it.py::test[a-1]`", id="usual"),
        pytest.param("t[a|b]", "<code>t&#91;a&#124;b&#93;</code>", id="pipe"),
        pytest.param("t[`]", "<code>t&#91;&#96;&#93;</code>", id="backtick"),
        pytest.param("<b>", "`<b>`", id="html"),
        pytest.param("a\nb", "<code>a&#92;nb</code>", id="line-break"),
        pytest.param("", "<code></code>", id="empty"),
    ],
)
def test_code(name, written) -> None:
    """Usual names are plain spans; others are written so that nothing can break out."""
    assert written == code(name)


def test_long_names_are_cut() -> None:
    """A very long name keeps its beginning and its end."""
    written = code(f"begin{'x' * 1000}end")
    assert len(written) == 302
    assert written.startswith("`beginx")
    assert written.endswith("xend`")


def test_no_name_becomes_a_mention() -> None:
    """A name behind an @ does not become a mention."""
    assert plain("@everyone") == "@<!-- -->everyone"


@given(text=NAMES)
def test_details_hold_any_text(text) -> None:
    """No text closes the fold or the fence around it."""
    page = PARSER.render("\n".join(details(code(text), f"before\n{text}\nafter")))
    assert page.count("<details>") == page.count("</details>") == 1
    assert page.rstrip().endswith("</details>")
    assert page.count("<pre>") == 1
    shown = html.unescape(page.partition('<code class="language-text">')[2])
    assert shown.startswith("before\n")
    assert "\nafter\n</code></pre>\n</details>" in shown


def test_everything_fits() -> None:
    """Blocks are separated by an empty line, and an empty remainder leaves no line."""
    assert fit([["a", "b"], ["c"]], 100) == "a\nb\n\nc\n"


@pytest.mark.parametrize("limit", [80, 100, 150, 399])
def test_cut(limit) -> None:
    """A text that is too long is cut between two lines, and its end says so."""
    text = fit([["head"], [f"{number:03}é" for number in range(80)]], limit)
    assert len(text.encode()) <= limit
    assert text.endswith(f"\n\n*Cut here: the rest does not fit into {limit} bytes.*\n")
    kept = text.split("\n\n")[1].splitlines()
    assert [f"{number:03}é" for number in range(len(kept))] == kept
    assert len(text.encode()) > limit - 6


def test_nothing_fits() -> None:
    """Where not even the first line fits, only the word about it is left."""
    assert fit([["x" * 100]], 60) == "*Cut here: the rest does not fit into 60 bytes.*\n"
