"""Writes docs/options.md from the option table: ``python docs/write_options.py [--check]``."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from pytest_memguard.option_table import OPTIONS, Option

PAGE = Path(__file__).parent / "options.md"

TEXT = """\
<!-- Written by docs/write_options.py from pytest_memguard/option_table.py: do not edit. -->

# Options

Every setting is a flag, a key in pytest's config file, or both.

| Flag | Ini key | Values | Default | What it does |
| --- | --- | --- | --- | --- |
{rows}

A switch takes no value on the command line.
In the config file write `true` or `false` (`1`, `0`, `yes`, `no`, `on` and `off` will do).

## Which source wins

The command line goes before the config file, and the config file before the default.
`-o mem=false` on the command line takes the place of the line in the config file.

For the limit of a test there are two more steps: a line of `mem_budgets` goes before
`mem_budget`, whichever of the two ways that was set, and a marker goes before all of them.
[Budgets](budgets.md#which-limit-holds) has the whole order.

## When a value makes no sense

All settings are checked before the first test.
Every mistake is named in one go, and pytest stops with exit code 4
([bad-setting](messages.md#bad-setting)).

Numbers are written in the digits 0 to 9. A key that takes lines and has none sets nothing; an
empty entry in a list is a mistake, and so is an empty value behind a flag, such as that of
`--mem-accept="$NODEID"` where the variable is not set. A path is a text, and not `true` or
`false`. In a TOML table `#` begins a comment in a list of lines, too.
"""


def row(option: Option) -> str:
    """One line of the table."""
    cells = (
        code(f"{option.flag}[={option.metavar}]" if option.kind == "file" else option.flag),
        code(option.ini),
        values(option),
        option.default if option.default in {"off", "none"} else code(option.default),
        option.help.replace("|", "\\|"),
    )
    return f"| {' | '.join(cells)} |"


def code(text: str) -> str:
    """A text as code; nothing stays nothing."""
    return f"`{text}`" if text else ""


def values(option: Option) -> str:
    """What a user may write."""
    if option.choices:
        return ", ".join(code(choice) for choice in option.choices)
    if option.kind == "switch":
        return "switch"
    return "lines" if option.kind == "lines" else code(option.metavar) or "text"


def page() -> str:
    """The whole page."""
    return TEXT.format(rows="\n".join(row(option) for option in OPTIONS))


def main(arguments: Sequence[str]) -> int:
    """Write the page, or with ``--check`` only say whether it is up to date."""
    if list(arguments) == ["--check"]:
        if PAGE.is_file() and PAGE.read_text(encoding="utf-8") == page():
            return 0
        print(
            "docs/options.md is out of date: run python docs/write_options.py", file=sys.stderr
        )
        return 1
    if arguments:
        print("usage: python docs/write_options.py [--check]", file=sys.stderr)
        return 2
    PAGE.write_text(page(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
