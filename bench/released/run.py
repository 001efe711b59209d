"""Checks leaking releases of packages and fixed ones: ``python bench/released/run.py``.

Each release gets a virtual environment of its own, with pytest-memguard from this folder.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import venv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from manifest import MARK, PAIRS, Pair

ROOT = Path(__file__).parent.parent.parent
NEAR = 0.2
"""How far the number may be off."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What was said of one release, and what is so."""

    version: str
    state: str
    said: float
    """Bytes per call."""
    blocks: float
    measured: float
    """Bytes per call, without a check."""
    measured_blocks: float
    line: bool
    """Whether the first line is the right one."""
    holder: str


def main() -> int:
    """Check the pairs that were asked for, and print the table.

    Returns:
        1 if anything is wrong.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="+", metavar="NAME", help="names of pairs")
    chosen = parser.parse_args().only
    rows, wrong = [], 0
    for pair in PAIRS:
        if chosen and pair.name not in chosen:
            continue
        with tempfile.TemporaryDirectory(prefix="memguard-released-") as folder:
            leaking = answer(pair, pair.leaking, Path(folder) / "leaking")
            fixed = answer(pair, pair.fixed, Path(folder) / "fixed")
        right = is_right(leaking) and fixed.state in {"clean", "settling"}
        wrong += not right
        rows.append(row(pair, leaking, fixed, right=right))
        print(f"{pair.name}: {'right' if right else 'WRONG'}", flush=True)
    print(table(rows))
    return int(bool(wrong))


def answer(pair: Pair, version: str, folder: Path) -> Answer:
    """Install one release, and ask."""
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    packages = [f"{pair.package}=={version}", *pair.needs, str(ROOT)]
    pip = [python, "-m", "pip", "install", "--quiet", "--only-binary", pair.package]
    subprocess.run([*pip, *packages], check=True)
    place = folder / "project"
    place.mkdir()
    (place / "pytest.ini").write_text("[pytest]\n")
    file = place / f"test_{pair.package}.py"
    file.write_text(pair.source.lstrip())
    measured = json.loads(
        output([python, Path(__file__).parent / "measure.py", file], place).splitlines()[-1]
    )
    flags = ["--mem-leak-check", "--mem-json=out.json", "-p", "no:cacheprovider"]
    output([python, "-m", "pytest", "-q", *flags], place)
    (test,) = json.loads((place / "out.json").read_text())["tests"]
    return read(pair, version, test["leak"], measured)


def output(command: Sequence[object], folder: Path) -> str:
    """What a command prints; a leaking test makes pytest fail."""
    found = subprocess.run(
        list(map(str, command)), cwd=folder, capture_output=True, text=True, check=False
    )
    if found.returncode > 1:
        sys.exit(found.stdout + found.stderr)
    return found.stdout


def read(pair: Pair, version: str, leak: dict[str, Any], measured: dict[str, Any]) -> Answer:
    """The answer, from the JSON of a run."""
    diagnosis = leak["blame"] or {"lines": [], "path": None, "bytes_per_call": None}
    rates = {rate["signal"]: rate["per_call"] for rate in leak["verdict"]["rates"]}
    lines, path = diagnosis["lines"], diagnosis["path"]
    grown = measured["traced"] or measured["pages"]
    return Answer(
        version=version,
        state=leak["verdict"]["state"],
        said=diagnosis["bytes_per_call"] or 0.0,
        blocks=rates.get("blocks", 0.0),
        measured=grown,
        measured_blocks=measured["blocks"],
        line=bool(lines) and is_marked(pair, lines[0]),
        holder=path["holder"] if path else "",
    )


def is_marked(pair: Pair, line: dict[str, Any]) -> bool:
    """Whether a line is the one of the test, or the package's own that it comes to."""
    source = pair.source.lstrip().splitlines()
    numbers = [n for n, text in enumerate(source, 1) if text.endswith(MARK)]
    if pair.own_line:
        place, _, number = line["caller"].rpartition(":")
        called = place.endswith(f"test_{pair.package}.py") and int(number or 0) in numbers
        return called and line["file"].endswith(pair.own_line)
    return line["file"].endswith(f"test_{pair.package}.py") and line["line"] in numbers


def is_right(found: Answer) -> bool:
    """Whether a leaking release was found, with the right number and line.

    None of these leaks has a holder: C code has lost what stays.
    """
    near = abs(found.said - found.measured) <= NEAR * found.measured
    return found.state == "leaking" and near and found.line and not found.holder


def row(pair: Pair, leaking: Answer, fixed: Answer, *, right: bool) -> list[str]:
    """What the table says of a pair."""
    return [
        pair.name,
        f"{leaking.version}: {leaking.state}",
        f"{leaking.said:,.0f} ({leaking.blocks:.3g})",
        f"{leaking.measured:,.0f} ({leaking.measured_blocks:.3g})",
        "right" if leaking.line else "wrong",
        leaking.holder or "none",
        f"{fixed.version}: {fixed.state}",
        "" if right else "WRONG",
    ]


def table(rows: Sequence[Sequence[str]]) -> str:
    """The table as text."""
    head = ["pair", "leaking", "said (blocks)", "measured", "line", "holder", "fixed", ""]
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    lines = [head, ["-" * width for width in widths], *rows]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


if __name__ == "__main__":
    sys.exit(main())
