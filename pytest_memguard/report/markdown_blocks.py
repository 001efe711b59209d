"""Parts of Markdown that no test name can break: code, text, tables, details."""

from __future__ import annotations

import re
from collections.abc import Container, Sequence
from typing import Final

from pytest_memguard.escapes import visible

SUMMARY_LIMIT: Final = 1024 * 1024
"""The largest summary of a step in bytes; GitHub drops a larger one."""
COMMENT_LIMIT: Final = 65_000
"""The largest comment in bytes, with space for a line before it: GitHub accepts 65,536
characters, GitLab more."""

_LONGEST: Final = 300
_NOT_IN_SPAN: Final = re.compile(r"[`|\\\x00-\x1f\x7f\u2028\u2029]|^\s|\s$|^$")
_SPECIAL: Final = re.compile(r"[&<>|`*\[\]\\~#$]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])")
_CUT: Final = "*Cut here: the rest does not fit into {limit:,} bytes.*"


def code(text: str) -> str:
    """Return a name as code, for a cell of a table or a line of text."""
    text = visible(text)
    if len(text) > _LONGEST:
        text = f"{text[: _LONGEST - 60]}...{text[-57:]}"
    if not _NOT_IN_SPAN.search(text):
        return f"`{text}`"
    # character references cannot open or close anything, whatever reads them
    return f"<code>{_SPECIAL.sub(_reference, text)}</code>"


def plain(text: str) -> str:
    """Return a sentence on one line, escaped so that it is not read as Markdown."""
    text = _SPECIAL.sub(_reference, visible(" ".join(text.split())))
    return text.replace("@", "@<!-- -->")  # mention no user


def paragraph(text: str) -> str:
    """Return a sentence for the start of a line, where a dash would begin a list."""
    text = plain(text)
    return re.sub(r"^([0-9]*)([-+=.):])", lambda m: f"{m[1]}&#{ord(m[2])};", text)


def _reference(match: re.Match[str]) -> str:
    return f"&#{ord(match[0])};"


def table(
    headers: Sequence[str],
    rows: Sequence[Sequence[str]],
    right: int = 0,
    numbers: Container[int] = (),
) -> list[str]:
    """Return the lines of a table.

    Args:
        headers: the headers of the columns.
        rows: cells that are Markdown already.
        right: how many of the last columns hold numbers.
        numbers: further columns that hold numbers.
    """
    first = len(headers) - right
    rule = ["---:" if n >= first or n in numbers else "---" for n in range(len(headers))]
    return [f"| {' | '.join(cells)} |" for cells in (headers, rule, *rows)]


def details(summary: str, text: str) -> list[str]:
    """Return text in a folded section, as one line: a part of it would be broken Markdown.

    Args:
        summary: Markdown that is always visible.
        text: what is folded.
    """
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    head = f"<details><summary>{_as_html(summary)}</summary>"
    return [f"{head}\n\n{fence}text\n{_lines(text)}\n{fence}\n\n</details>"]


def _as_html(summary: str) -> str:
    """Return Markdown code as HTML: inside of an HTML tag Markdown is not read."""
    return re.sub(
        r"`([^`]*)`", lambda m: f"<code>{_SPECIAL.sub(_reference, m[1])}</code>", summary
    )


def _lines(text: str) -> str:
    """Return the lines of a text without what a terminal would act on."""
    return "\n".join(map(visible, text.splitlines()))


def fit(blocks: Sequence[Sequence[str]], limit: int) -> str:
    """Return blocks separated by empty lines, as far as they fit.

    Args:
        blocks: lines; a block may be cut after any line.
        limit: the largest size, in bytes of UTF-8.

    Returns:
        The text; its last line says if something was left out.
    """
    text = "\n\n".join("\n".join(block) for block in blocks) + "\n"
    if _size(text) <= limit:
        return text
    note = _CUT.format(limit=limit)
    kept, left = "", limit - _size(note) - 3
    lines = [(number, line) for block in blocks for number, line in enumerate(block)]
    for number, line in lines:
        piece = ("\n" if number else "\n\n" if kept else "") + line
        left -= _size(piece)
        if left < 0:
            break
        kept += piece
    return f"{kept}\n\n{note}\n" if kept else f"{note}\n"


def _size(text: str) -> int:
    return len(text.encode("utf-8", "replace"))
