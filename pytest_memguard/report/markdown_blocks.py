"""Pieces of Markdown in which no test name can break anything: code, text, tables, details."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from pytest_memguard.escapes import visible

SUMMARY_LIMIT: Final = 1024 * 1024
"""Bytes GitHub takes as the summary of one step; it drops a longer one altogether."""
COMMENT_LIMIT: Final = 65_000
"""Bytes that fit into a comment on GitHub, with some room to put a line before them: it takes
65,536 characters. GitLab takes more."""

_LONGEST: Final = 300
_NOT_IN_SPAN: Final = re.compile(r"[`|\\\x00-\x1f\x7f\u2028\u2029]|^\s|\s$|^$")
_SPECIAL: Final = re.compile(r"[&<>|`*\[\]\\~#$]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])")
_CUT: Final = "*Cut here: the rest does not fit into {limit:,} bytes.*"


def code(text: str) -> str:
    """A name, as code; fit for a table's cell and for a line of text."""
    text = visible(text)
    if len(text) > _LONGEST:
        text = f"{text[: _LONGEST - 60]}...{text[-57:]}"
    if not _NOT_IN_SPAN.search(text):
        return f"`{text}`"
    # references cannot close or open anything, in whatever reads this
    return f"<code>{_SPECIAL.sub(_reference, text)}</code>"


def plain(text: str) -> str:
    """A sentence that is not to be read as Markdown, on one line."""
    text = _SPECIAL.sub(_reference, visible(" ".join(text.split())))
    return text.replace("@", "@<!-- -->")  # nobody is to be called


def paragraph(text: str) -> str:
    """A sentence at the beginning of a line, where a dash or a number begins a list."""
    text = plain(text)
    return re.sub(r"^([0-9]*)([-+=.):])", lambda m: f"{m[1]}&#{ord(m[2])};", text)


def _reference(match: re.Match[str]) -> str:
    return f"&#{ord(match[0])};"


def table(headers: Sequence[str], rows: Sequence[Sequence[str]], right: int = 0) -> list[str]:
    """The lines of a table.

    Args:
        headers: of its columns.
        rows: cells that are Markdown already.
        right: how many of the last columns hold numbers.
    """
    rule = ["---"] * (len(headers) - right) + ["---:"] * right
    return [f"| {' | '.join(cells)} |" for cells in (headers, rule, *rows)]


def details(summary: str, text: str) -> list[str]:
    """Text as it stands, folded away; one line, because half of it is of no use.

    Args:
        summary: Markdown that is always seen.
        text: what is behind it.
    """
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    head = f"<details><summary>{_as_html(summary)}</summary>"
    return [f"{head}\n\n{fence}text\n{_lines(text)}\n{fence}\n\n</details>"]


def _as_html(summary: str) -> str:
    """Inside of an HTML tag nothing is read as Markdown."""
    return re.sub(
        r"`([^`]*)`", lambda m: f"<code>{_SPECIAL.sub(_reference, m[1])}</code>", summary
    )


def _lines(text: str) -> str:
    """The lines of a text, without what a terminal would act on."""
    return "\n".join(map(visible, text.splitlines()))


def fit(blocks: Sequence[Sequence[str]], limit: int) -> str:
    """Blocks, an empty line between them, as far as they fit.

    Args:
        blocks: lines; a block is cut after any of them.
        limit: bytes in UTF-8.

    Returns:
        The text, with a last line that says so if something was left out.
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
