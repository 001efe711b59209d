"""Texts that come from tests, made safe for each place that they are written to.

A test's parameters, a stage's name or the text of an exception may hold anything: a line break
that begins a line of its own, a sequence that a terminal obeys, a command to a CI service, half
a character that no encoding has.
"""

from __future__ import annotations

import re
from typing import Final

_HARMFUL: Final = (
    "[\x00-\x1f\x7f-\x9f\u2028\u2029"  # control characters, separators of lines
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # marks that turn the direction of writing
    "\ud800-\udfff]"  # halves of characters
)


def visible(text: str) -> str:
    """A text for people, on one line: what cannot be seen is written as `repr` writes it."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else _escape(c) for c in text)


def _harmless(text: str) -> str:
    """A text for programs, on one line: only what could do harm is written as an escape."""
    return text if text.isprintable() else re.sub(_HARMFUL, lambda c: _escape(c[0]), text)


def _escape(sign: str) -> str:
    return sign.encode("unicode_escape").decode("ascii")


def one_line(text: str) -> str:
    """A text that is a line of its own, or a cell of a table, in the output of a command.

    What would make a line a command to the CI service that reads the output is written as an
    escape, too.
    """
    text = _no_command(visible(text))
    # GitHub obeys "##[" anywhere in a line, and Azure "##vso["
    return re.sub(r"#(?=#\w*\[)", r"\\x23", text) if "##" in text else text


def _is_command(text: str) -> bool:
    """Whether GitHub obeys a line that begins so; it looks behind spaces, too."""
    return text.lstrip().startswith("::")


def _no_command(text: str) -> str:
    return text.replace(":", "\\x3a", 1) if _is_command(text) else text


def command_data(text: str) -> str:
    """A text behind the double colon of one of GitHub's commands: it ends with the line."""
    text = text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
    return visible(text)


def command_property(text: str) -> str:
    """The value of a property of such a command: a comma or a colon would end it."""
    return command_data(text).replace(":", "%3A").replace(",", "%2C")


def tsv_cell(text: str) -> str:
    r"""A cell between tabs, with escapes that can be undone: a backslash is two."""
    return _no_command(_harmless(text.replace("\\", "\\\\")))


def csv_cell(text: str) -> str:
    """A cell between commas, quoted where it has to be; it has no line breaks."""
    text = _harmless(text)
    if not (_is_command(text) or '"' in text or "," in text):
        return text
    doubled = text.replace('"', '""')
    return f'"{doubled}"'


def label_value(text: str) -> str:
    """The value of a label in OpenMetrics, without its quotes."""
    return _harmless(text).replace("\\", "\\\\").replace('"', '\\"')


def well_formed(text: str) -> str:
    """A text that every encoding of Unicode can hold, for files and services."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def storable(text: str) -> str:
    """A text that a database takes: none has half a character, PostgreSQL no NUL either."""
    return well_formed(text).replace("\0", "\\x00")
