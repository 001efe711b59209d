"""Compares leak checks on cases whose truth is known: ``python bench/leaks/run.py``."""

from __future__ import annotations

import argparse
import os
import platform
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import tables
from manifest import Case, cases
from tools import TOOLS, Answer, Place, installed, prepare

_SHOWN = ("pytest", "pytest-memguard", "psleak", "pytest-memray", "memray", "psutil")


def main() -> int:
    """Run what was asked for and print the tables.

    Returns:
        1 if pytest-memguard is wrong about a case, 2 if nothing could be run.
    """
    options = arguments()
    try:
        chosen = list(cases(frozenset(options.only)))
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    print(machine())
    with tempfile.TemporaryDirectory(
        prefix="memguard-leaks-", ignore_cleanup_errors=True
    ) as name:
        folder = (
            Path(tempfile.mkdtemp(prefix="memguard-leaks-")) if options.keep else Path(name)
        )
        place = prepare(folder.resolve())
        chosen = without_native(chosen, place)
        tools = [tool for tool in options.tools if found(tool)]
        start = time.monotonic()
        answers = ask(place, chosen, tools)
        print(f"{len(chosen)} cases in {time.monotonic() - start:.0f} s")
        if options.keep:
            print(f"everything is kept in {folder}")
    show(answers)
    return int(bool(tables.wrong(answers.get("pytest-memguard", {}))))


def room(*, keep: bool) -> AbstractContextManager[str]:
    """A folder that goes away afterwards, unless it is to be kept."""
    prefix = "memguard-leaks-"
    if keep:
        return nullcontext(tempfile.mkdtemp(prefix=prefix))
    return tempfile.TemporaryDirectory(prefix=prefix, ignore_cleanup_errors=True)


def arguments() -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--only", nargs="+", default=[], metavar="NAME", help="these cases (default: all)"
    )
    parser.add_argument(
        "--tools",
        type=_tools,
        default=list(TOOLS),
        metavar="NAME,...",
        help=f"which of {', '.join(TOOLS)} (default: all)",
    )
    parser.add_argument(
        "--keep", action="store_true", help="keep the folder with cases and C extension"
    )
    return parser.parse_args()


def _tools(text: str) -> list[str]:
    names = text.split(",")
    if unknown := {*names} - {*TOOLS}:
        msg = f"no such tool: {', '.join(sorted(unknown))}"
        raise argparse.ArgumentTypeError(msg)
    return names


def machine() -> str:
    """Where these figures come from."""
    where = f"{platform.python_implementation()} {platform.python_version()}"
    system = f"{platform.system()} {platform.release()} {platform.machine()}"
    packages = ", ".join(f"{name} {_version(name)}" for name in _SHOWN)
    return f"{where}, {system}, {os.cpu_count()} cores\n{packages}"


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


def without_native(chosen: Sequence[Case], place: Place) -> list[Case]:
    """The cases that can be run, and a word on the others."""
    if not place.no_extension:
        return list(chosen)
    left_out = [case.name for case in chosen if case.native]
    print(f"left out: {', '.join(left_out) or 'none'}: {place.no_extension}")
    return [case for case in chosen if not case.native]


def found(tool: str) -> bool:
    """Whether a tool is there, and a word if it is not."""
    there = installed(tool)
    if not there:
        print(f"left out: {tool} is not installed")
    return there


def ask(
    place: Place, chosen: Sequence[Case], tools: Sequence[str]
) -> dict[str, dict[Case, Answer]]:
    """What every tool reports of every case, one process at a time."""
    answers: dict[str, dict[Case, Answer]] = {}
    for number, case in enumerate(chosen, 1):
        start, states = time.monotonic(), []
        for tool in tools:
            for name, answer in TOOLS[tool](place, case):
                answers.setdefault(name, {})[case] = answer
                states.append(f"{name} {answer.state}")
        took = time.monotonic() - start
        progress = f"[{number}/{len(chosen)}] {case.name}: {', '.join(states)} ({took:.1f} s)"
        print(progress, file=sys.stderr, flush=True)
    return answers


def show(answers: dict[str, dict[Case, Answer]]) -> None:
    """Print all tables."""
    print(f"\nRight and wrong\n{tables.confusion(answers)}")
    print(f"\nCost of a verdict\n{tables.cost(answers)}")
    for name, said in answers.items():
        if tables.wrong(said):
            print(f"\nWrong: {name}\n{tables.mistakes(said)}")
    if ours := answers.get("pytest-memguard"):
        print(f"\nBlame: pytest-memguard, leaks found\n{tables.diagnosis(ours)}")


if __name__ == "__main__":
    sys.exit(main())
