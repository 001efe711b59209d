"""Puts the lines of ``mem_budgets`` into the config file that pytest reads."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from pytest_memguard.errors import ConfigError
from pytest_memguard.storage.files import read_text

_INI: Final = (
    ("pytest.ini", "[pytest]"),
    (".pytest.ini", "[pytest]"),
    ("pyproject.toml", "[tool.pytest.ini_options]"),
    ("tox.ini", "[pytest]"),
    ("setup.cfg", "[tool:pytest]"),
)
"""Files and sections that pytest reads, in its order."""
_NOT_EDITED: Final = ("pytest.toml", ".pytest.toml")
_KEY: Final = re.compile(r"mem_budgets\s*=")


def config_file(folder: Path) -> tuple[Path, str, str]:
    """Return the config file of a project, its section for pytest, and its text.

    Without one, that is a new pytest.ini, or a new section of pyproject.toml if there is one.

    Args:
        folder: the root folder.

    Raises:
        ConfigError: if pytest reads a file that cannot be edited here.
    """
    for name in _NOT_EDITED:
        if (folder / name).exists():
            msg = f"{name} cannot be edited: put the lines there yourself"
            raise ConfigError(msg)
    for name, section in _INI:
        path = folder / name
        text = read_text(path) if path.is_file() else ""
        if re.search(rf"^{re.escape(section)}\s*$", text, re.MULTILINE):
            return path, section, text
        if name == "pyproject.toml" and re.search(r"^\[tool\.pytest\]\s*$", text, re.MULTILINE):
            msg = (
                "[tool.pytest] of pyproject.toml cannot be edited: put the lines there yourself"
            )
            raise ConfigError(msg)
    pyproject = folder / "pyproject.toml"
    if pyproject.is_file():
        return pyproject, "[tool.pytest.ini_options]", read_text(pyproject)
    path = folder / "pytest.ini"
    return path, "[pytest]", read_text(path) if path.is_file() else ""


def with_budgets(text: str, section: str, budgets: Sequence[str]) -> str:
    """Return the text of a config file with these lines as ``mem_budgets``, in place of others.

    Args:
        text: of the file.
        section: the head of its section for pytest.
        budgets: the lines ``PATTERN = SIZE``.
    """
    is_toml = section.startswith("[tool.")
    lines = text.splitlines()
    if section not in (line.strip() for line in lines):
        lines += ["", section] if lines else [section]
    start = next(n for n, line in enumerate(lines) if line.strip() == section) + 1
    end = next((n for n in range(start, len(lines)) if lines[n].startswith("[")), len(lines))
    first = next((n for n in range(start, end) if _KEY.match(lines[n])), None)
    after = start if first is None else _end_of_value(lines, first, end, is_toml=is_toml)
    new = _toml_lines(budgets) if is_toml else _ini_lines(budgets)
    lines[start if first is None else first : after] = new
    return "\n".join(lines) + "\n"


def _end_of_value(lines: Sequence[str], first: int, end: int, *, is_toml: bool) -> int:
    """Return the number of the line behind a value."""
    if is_toml:
        if lines[first].rstrip().endswith("["):
            return next((n + 1 for n in range(first, end) if lines[n].strip() == "]"), end)
        return first + 1
    after = first + 1
    while after < end and lines[after][:1].isspace() and lines[after].strip():
        after += 1
    return after


def _ini_lines(budgets: Sequence[str]) -> list[str]:
    return ["mem_budgets =", *(f"    {line}" for line in budgets)]


def _toml_lines(budgets: Sequence[str]) -> list[str]:
    return ["mem_budgets = [", *(f"    {json.dumps(line)}," for line in budgets), "]"]
