"""Escapes texts that come from tests, for each place that they are written to.

A test's parameters, the name of a stage or the text of an exception may contain anything: line
breaks, sequences that a terminal obeys, commands to a CI service, half a character that no
encoding has.
"""

from __future__ import annotations

import re
from typing import Final

_HARMFUL: Final = (
    "[\x00-\x1f\x7f-\x9f\u2028\u2029"  # control characters, separators of lines
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # controls of the direction of writing
    "\ud800-\udfff]"  # halves of characters
)


def visible(text: str) -> str:
    """Return a text on one line, in which invisible characters are escaped as `repr` does."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else _escape(c) for c in text)


def _harmless(text: str) -> str:
    """Return a text for programs on one line, in which only harmful characters are escaped."""
    return text if text.isprintable() else re.sub(_HARMFUL, lambda c: _escape(c[0]), text)


def _escape(sign: str) -> str:
    return sign.encode("unicode_escape").decode("ascii")


def one_line(text: str) -> str:
    """Return a text that is a line, or a cell of a table, in the output of a command.

    What would make the line a command to the CI service that reads the output is escaped, too.
    """
    text = _no_command(visible(text))
    # GitHub obeys "##[" anywhere in a line, and Azure "##vso["
    return re.sub(r"#(?=#\w*\[)", r"\\x23", text) if "##" in text else text


def _is_command(text: str) -> bool:
    """Return whether GitHub obeys a line that begins so; it skips spaces."""
    return text.lstrip().startswith("::")


def _no_command(text: str) -> str:
    return text.replace(":", "\\x3a", 1) if _is_command(text) else text


def command_data(text: str) -> str:
    """Return a text that follows the double colon of GitHub's commands, on one line."""
    text = text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
    return visible(text)


def command_property(text: str) -> str:
    """Return the value of a property of such a command, which a comma or a colon would end."""
    return command_data(text).replace(":", "%3A").replace(",", "%2C")


def tsv_cell(text: str) -> str:
    r"""Return a cell between tabs; escapes can be undone, because backslashes are doubled."""
    return _no_command(_harmless(text.replace("\\", "\\\\")))


def csv_cell(text: str) -> str:
    """Return a cell between commas, quoted if necessary, without line breaks."""
    text = _harmless(text)
    if not (_is_command(text) or '"' in text or "," in text):
        return text
    doubled = text.replace('"', '""')
    return f'"{doubled}"'


def label_value(text: str) -> str:
    """Return the value of a label in OpenMetrics, without its quotes."""
    return _harmless(text).replace("\\", "\\\\").replace('"', '\\"')


def well_formed(text: str) -> str:
    """Return a text that every encoding of Unicode can represent, for files and services."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def storable(text: str) -> str:
    """Return a text that databases accept: no half characters, and no NUL for PostgreSQL."""
    return well_formed(text).replace("\0", "\\x00")
