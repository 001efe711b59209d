"""Plants two leaks of different kinds in one test: ``python bench/leaks/pairs.py``."""

from __future__ import annotations

import argparse
import itertools
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import indent
from typing import Any

_HEAD = """import ctypes, functools, itertools, os, threading

N = itertools.count(1000)


class Thing:
    def __init__(self):
        self.parts = [1]
"""
_SECONDS = 120
_ARGUMENTS = (
    "-q -p no:cacheprovider -p pytest_memguard.plugin.hooks "
    "--mem-leak-check --mem-json=out.json"
)


@dataclass(frozen=True)
class Kind:
    """One way to leak."""

    name: str
    """What it is called."""
    head: str
    """What it needs."""
    body: str
    """One call of it."""
    expected: str
    """The name that the report must have: what holds the leak, or the function that leaks."""


KINDS = (
    Kind("objects", "KEPT = []", "KEPT.append(Thing())", "KEPT"),
    Kind("bytes", "BLOBS = {}", "BLOBS[next(N)] = bytes(300)", "BLOBS"),
    Kind("text", 'TEXT = ""', 'global TEXT\nTEXT += "x" * 300', "TEXT"),
    Kind("cached", "@functools.cache\ndef ever(n):\n    return [n]", "ever(next(N))", "ever"),
    Kind(
        "lost",
        "LOSE = ctypes.pythonapi.Py_IncRef\nLOSE.argtypes = [ctypes.py_object]",
        'LOSE({"a": [Thing()]})',
        "leak_lost",
    ),
    Kind(
        "native",
        "TAKE = ctypes.pythonapi.PyMem_RawMalloc\nTAKE.restype = ctypes.c_void_p",
        "TAKE(1000)",
        "leak_native",
    ),
    Kind("descriptor", "", "os.open(os.devnull, os.O_RDONLY)", "leak_descriptor"),
    Kind(
        "thread",
        "STOP = threading.Event()",
        "threading.Thread(target=STOP.wait, daemon=True).start()",
        "threading._active",
    ),
)


def source(*kinds: Kind) -> str:
    """A file with one test that leaks in these ways, one after the other."""
    parts = [_HEAD]
    for kind in kinds:
        body = indent(kind.body, "    ")
        parts.append(f"{kind.head}\n\n\ndef leak_{kind.name}():\n{body}\n")
    calls = "".join(f"    leak_{kind.name}()\n" for kind in kinds)
    return "\n\n".join([*parts, f"def test_it():\n{calls}"])


def found(
    text: str, folder: Path, run: Callable[[Sequence[str], Path], object] | None = None
) -> list[str]:
    """Check a file, and return the name of each leak: its holder, or else its function.

    Args:
        text: the file.
        folder: where to put it.
        run: runs pytest in a folder; in a new interpreter if there is none.
    """
    (folder / "test_planted.py").write_text(text, encoding="utf-8")
    (run or _run)([*_ARGUMENTS.split(), "test_planted.py"], folder)
    (test,) = json.loads((folder / "out.json").read_text(encoding="utf-8"))["tests"]
    leak = test["leak"]
    if leak["verdict"]["state"] != "leaking":
        return []
    return [_named(part["blame"]) for part in (leak, *leak["more"])]


def _run(arguments: Sequence[str], folder: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "pytest", *arguments],
        cwd=folder,
        env=os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        timeout=_SECONDS,
        check=False,
    )


def _named(diagnosis: dict[str, Any] | None) -> str:
    if diagnosis is None:
        return ""
    if diagnosis["path"] is not None:
        return str(diagnosis["path"]["holder"])
    return str(diagnosis["lines"][0]["function"]) if diagnosis["lines"] else ""


def is_right(pair: tuple[Kind, Kind], names: list[str]) -> bool:
    """Whether both leaks were found, each by itself, and named."""
    return len(names) == len(pair) and all(
        any(kind.expected in name for name in names) for kind in pair
    )


def main() -> int:
    """Run the pairs, and print what is wrong.

    Returns:
        1 if fewer than 50 of 56 are right.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--least", type=int, default=50, help="how many have to be right")
    least = parser.parse_args().least
    right = 0
    pairs = list(itertools.permutations(KINDS, 2))
    for pair in pairs:
        with tempfile.TemporaryDirectory() as name:
            names = found(source(*pair), Path(name))
        if is_right(pair, names):
            right += 1
        else:
            print(f"{pair[0].name} and {pair[1].name}: {names}")
    print(f"{right} of {len(pairs)} pairs: both found, both named")
    return int(right < least)


if __name__ == "__main__":
    sys.exit(main())
