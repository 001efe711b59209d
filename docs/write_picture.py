"""Writes docs/_static/terminal.svg from a real run: ``python docs/write_picture.py``.

The README and the first page show it. The font is the reader's own: the picture loads nothing.
"""

from __future__ import annotations

import inspect
import io
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text
from write_examples import environment

PICTURE = Path(__file__).parent / "_static" / "terminal.svg"
COMMAND = ("pytest", "-q", "--mem-explain=rerun")
COLUMNS = 84
TEST = """\
import pytest


def load_rows(count):
    rows = []
    for number in range(count):
        rows.append(bytes(1000))
    return rows


@pytest.mark.mem_budget(20)
def test_small_file():
    assert len(load_rows(1_000)) == 1_000


@pytest.mark.mem_budget(20)
def test_large_file():
    assert len(load_rows(40_000)) == 40_000
"""
FONT_FACE = re.compile(r"@font-face \{\{.*?\}\}\s*", re.DOTALL)


def output() -> str:
    """What pytest prints on a terminal, colours included."""
    with tempfile.TemporaryDirectory(prefix="picture-") as folder:
        Path(folder, "test_rows.py").write_text(TEST, encoding="utf-8")
        variables = environment() | {"COLUMNS": str(COLUMNS)}
        del variables["NO_COLOR"]
        done = subprocess.run(
            [sys.executable, "-m", *COMMAND, "--color=yes"],
            cwd=folder,
            env=variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
    return done.stdout.strip("\n")


def picture(text: str) -> str:
    """The text as a terminal window, in SVG."""
    console = Console(record=True, width=COLUMNS, file=io.StringIO())
    console.print(Text("$ ", style="bold"), " ".join(COMMAND), sep="", highlight=False)
    console.print(Text.from_ansi(text))
    usual = inspect.signature(console.export_svg).parameters["code_format"].default
    svg = console.export_svg(
        title="pytest-memguard",
        theme=MONOKAI,
        code_format=FONT_FACE.sub("", usual),
        unique_id="terminal",
    )
    return "".join(f"{line.rstrip()}\n" for line in svg.splitlines())


if __name__ == "__main__":
    PICTURE.write_text(picture(output()), encoding="utf-8")
