"""Counts the package's frames and modules on each path: ``python bench/paths.py``.

A profile hook counts every call of a function of the package while a suite runs, in each of its
processes. A suite with one more test has so many frames more: those are the test's. The counts
are the same on every machine, busy or not.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent

from tabulate import tabulate

_FEW, _MANY = 4, 8
"""Tests of the two suites that are compared."""
_COUNTER = '''
    """Counts calls of the package's functions, by module."""

    import atexit, json, os, sys, threading
    from collections import Counter
    from importlib.util import find_spec

    FOLDER = os.path.dirname(find_spec("pytest_memguard").origin) + os.sep
    CALLS = Counter()

    def profile(frame, event, argument):
        if event == "call":
            file = frame.f_code.co_filename
            if file.startswith(FOLDER) and not frame.f_code.co_name.startswith("<"):
                CALLS[file[len(FOLDER):]] += 1

    def pytest_configure(config):
        kind = "worker" if hasattr(config, "workerinput") else "main"
        path = os.path.join(os.environ["FRAMES"], f"{kind}-{os.getpid()}.json")

        def write(parent=os.getpid()):
            sys.setprofile(None)
            if os.getpid() == parent:
                with open(path, "w", encoding="utf-8") as file:
                    json.dump(CALLS, file)

        config.add_cleanup(write)
        sys.setprofile(profile)
'''


@dataclass(frozen=True, slots=True)
class Way:
    """One of the ways that a test can take through the package."""

    title: str
    """What the table calls it."""
    body: str
    """Lines of each test."""
    flags: tuple[str, ...]
    """Of the run that is counted."""
    before: tuple[str, ...] = ()
    """Of a run made before it, without counting."""
    decorator: str = ""
    """A marker of each test."""


PATHS = {
    "pass": Way("pass", "pass", ("--mem-budget", "8GB")),
    "report": Way("pass, with --mem", "pass", ("--mem",)),
    "breach": Way(
        "breach",
        "bytearray(8_000_000)",
        (),
        decorator="@pytest.mark.mem_budget(2)",
    ),
    "leak": Way(
        "leak of 120 calls",
        "KEPT.append(object())",
        ("--mem-leak-check", "--mem-leak-calls", "120"),
    ),
    "compare": Way(
        "compare, -n 1",
        "pass",
        ("--mem-compare", "-n", "1", "-p", "xdist.plugin"),
        before=("--mem-save",),
    ),
}
"""The paths, by the name that asks for them."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=PATHS, action="append", help="count this path alone")
    parser.add_argument(
        "--modules", action="store_true", help="print the frames of each module"
    )
    options = parser.parse_args(arguments)
    rows = []
    for name in options.only or PATHS:
        for process, frames in per_test(PATHS[name]).items():
            rows.append((PATHS[name].title, process, f"{frames.total():,.0f}", len(frames)))
            if options.modules:
                for module, count in frames.most_common():
                    print(f"  {name}, {process}: {count:8,.1f}  {module}")
    print(tabulate(rows, headers=("path", "process", "frames per test", "modules")))
    return 0


def per_test(path: Way) -> dict[str, Counter[str]]:
    """Frames of one more test, by process and module.

    Args:
        path: the path that all tests of the suites take.
    """
    few, many = counted(path, _FEW), counted(path, _MANY)
    found: dict[str, Counter[str]] = {}
    for process, frames in many.items():
        more = Counter(frames)
        more.subtract(few[process])
        more = Counter({m: n / (_MANY - _FEW) for m, n in more.items() if n > 0})  # type: ignore[misc]
        found[process] = more
    return found


def counted(path: Way, tests: int) -> dict[str, Counter[str]]:
    """Frames of a whole run, by process and module.

    Args:
        path: the path that all tests take.
        tests: how many there are.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "frames.py").write_text(dedent(_COUNTER), encoding="utf-8")
        lines = ["import pytest", "", "KEPT = []", ""]
        for number in range(tests):
            lines += [
                *filter(None, [path.decorator]),
                f"def test_{number}():",
                f"    {path.body}",
                "",
            ]
        (folder / "test_path.py").write_text("\n".join(lines), encoding="utf-8")
        if path.before:
            _run(folder, path.before, {})
        output = folder / "counts"
        output.mkdir()
        _run(folder, ("-p", "frames", *path.flags), {"FRAMES": str(output)})
        return {
            file.stem.partition("-")[0]: Counter(json.loads(file.read_text(encoding="utf-8")))
            for file in sorted(output.iterdir())
        }


def _run(folder: Path, flags: Sequence[str], environment: dict[str, str]) -> None:
    """Run the suite with this plugin alone."""
    root = Path(__file__).parent.parent
    more = {
        "PYTHONPATH": os.pathsep.join((str(folder), str(root))),
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "PYTHONHASHSEED": "1",
        **environment,
    }
    command = (
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "pytest_memguard.plugin.hooks",
        *flags,
    )
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, **more},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode not in {0, 1}:
        raise SystemExit(done.stdout + done.stderr)


if __name__ == "__main__":
    sys.exit(main())
