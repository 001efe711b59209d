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

| Flag | Ini key | Values | Default | Purpose |
| --- | --- | --- | --- | --- |
{rows}

On the command line a switch stands alone; a value goes behind `=`, as in `--mem=off`.
In the config file write `true` or `false` (`1`, `0`, `yes`, `no`, `on` and `off` also work).

## Precedence

The command line overrides the config file, and the config file overrides the default.
`-o mem=false` on the command line replaces the line in the config file.

For the limit of a test there are two more levels: a line of `mem_budgets` overrides
`mem_budget`, wherever that was set, and a marker overrides both.
[Budgets](budgets.md#which-limit-applies) has the whole order.

## Invalid values

All settings are checked before the first test. pytest reports every mistake at once and stops
with exit code 4 ([bad-setting](messages.md#bad-setting)).

- Numbers use the digits 0 to 9.
- A key for lines without any line sets nothing.
- An empty entry in a list is a mistake. So is an empty value of a flag, such as
  `--mem-accept="$NODEID"` if the variable is not set.
- A path is a text, not `true` or `false`.
- In a TOML table, `#` starts a comment in a list of lines, too.
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
    """A text as code; an empty text stays empty."""
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
    """Write the page, or with ``--check`` only report whether it is up to date."""
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
