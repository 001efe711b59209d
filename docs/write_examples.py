"""Runs the examples in the pages and writes what they print: ``python docs/write_examples.py``.

An example stands between ``<!-- example NAME -->`` and ``<!-- end of example -->``. A
``code-block`` with a caption is a file, and so is a fenced block with a title in the README,
which GitHub and PyPI show without Sphinx. In a ``console`` block every line that starts with
``$ `` is a command, and what follows it is replaced by what it prints. Examples of one name
share a folder, so that a later one finds what an earlier one left.

The pages are those of this folder and the README. Names as arguments restrict it to those
pages. With ``--check`` nothing is written; it fails where an example prints other words than
the page shows (numbers are not compared).
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

DOCS = Path(__file__).parent
README = DOCS.parent / "README.md"
SHOWN_ROOT = "/home/you/project"
SHOWN_PYTHON = "/home/you/project/.venv/bin/python"
EXAMPLE = re.compile(
    r"<!-- example (?P<name>[\w-]+) -->\n(?P<body>.*?)<!-- end of example -->", re.DOTALL
)
BLOCK = re.compile(r"^```(?P<head>[^\n`]*)\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE)
TITLE = re.compile(r'title="([^"]+)"')
OPTIONS = re.compile(r"(?:^:[\w-]+:.*\n)+\n?", re.MULTILINE)
CAPTION = re.compile(r"^:caption: (.+)$", re.MULTILINE)
CUT_OFF = re.compile(r" - .*\.\.\.$")
PYTHON = re.compile(re.escape(str(Path(sys.executable).parent)) + r"/python[\d.]*")
LEFT_OUT_IF_0 = re.compile(r'"(?:ceiling|growth|spread)_kib": \d+(?:, )?')
NOT_WORDS = re.compile(
    r"0x[0-9a-f]+|\d[\d.,]*(?:e[-+]?\d+)?(?: ?(?:[KMG]iB|B|ms|s)\b)?|[^A-Za-z]"
)
NOT_OURS = (
    "anyio",
    "asyncio",
    "hypothesispytest",
    "memray",
    "pytest-split",
    "randomly",
    "rerunfailures",
    "timeout",
)


class Examples:
    """Runs the examples of one page, each name in a folder of its own."""

    def __init__(self, workspace: Path) -> None:
        self._workspace = workspace
        self._last_status = 0

    def page(self, text: str) -> str:
        """The page with the output of its examples."""
        return EXAMPLE.sub(self._example, text)

    def _example(self, match: re.Match[str]) -> str:
        folder = self._workspace / match["name"] / "project"
        folder.mkdir(parents=True, exist_ok=True)

        def block(found: re.Match[str]) -> str:
            head, text = found["head"], found["text"]
            name, content = file_of(head, text)
            if name:
                path = folder / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(content, encoding="utf-8")
            elif head.split(" ")[0] == "console":
                text = self._console(text, folder)
            return f"```{head}\n{text}```"

        body = BLOCK.sub(block, match["body"])
        return f"<!-- example {match['name']} -->\n{body}<!-- end of example -->"

    def _console(self, text: str, folder: Path) -> str:
        commands = [line[2:] for line in text.splitlines() if line.startswith("$ ")]
        return "".join(f"$ {command}\n{self._run(command, folder)}" for command in commands)

    def _run(self, command: str, folder: Path) -> str:
        if command == "echo $?":
            return f"{self._last_status}\n"
        done = subprocess.run(
            shlex.split(command),
            cwd=folder,
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        self._last_status = done.returncode
        shown = done.stdout.strip("\n").replace(str(folder.resolve()), SHOWN_ROOT)
        shown = PYTHON.sub(SHOWN_PYTHON, shown)
        lines = [line.rstrip() for line in shown.splitlines()]
        return "".join(f"{line}\n" for line in lines)


def file_of(head: str, text: str) -> tuple[str, str]:
    """Name and content of the file that a fenced block shows; no name if it shows none."""
    title = TITLE.search(head)
    if title is not None:
        return title[1], text
    options = OPTIONS.match(text) if head.startswith("{code-block}") else None
    caption = CAPTION.search(options[0]) if options is not None else None
    if options is None or caption is None:
        return "", text
    return caption[1], text[options.end() :]


def environment() -> dict[str, str]:
    """This interpreter's commands first, a fixed width, no plugins that change the output."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    for name in ("CI", "GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY"):
        kept.pop(name, None)
    return kept | {
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]),
        "COLUMNS": "80",
        "NO_COLOR": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTEST_ADDOPTS": " ".join(f"-p no:{name}" for name in NOT_OURS),
    }


def words(text: str) -> list[str]:
    """What is compared: letters alone, in any order of lines.

    Units, cut-off ends, and keys that a baseline has only if they are not 0 are left out.
    """
    whole = (LEFT_OUT_IF_0.sub("", CUT_OFF.sub("", line)) for line in text.splitlines())
    return sorted(NOT_WORDS.sub("", line) for line in whole)


def main(arguments: Sequence[str]) -> int:
    """Write the pages, or with ``--check`` only say which are out of date."""
    check = "--check" in arguments
    names = [name for name in arguments if name != "--check"]
    everything = {path.name: path for path in (README, *sorted(DOCS.glob("*.md")))}
    pages = [everything[name] for name in names or everything]
    stale = []
    for path in pages:
        text = path.read_text(encoding="utf-8")
        with tempfile.TemporaryDirectory(prefix="examples-") as workspace:
            new = Examples(Path(workspace)).page(text)
        if not check:
            path.write_text(new, encoding="utf-8")
        elif words(new) != words(text):
            stale.append(path.name)
    if stale:
        print(f"examples print other words than shown in {', '.join(stale)}", file=sys.stderr)
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
