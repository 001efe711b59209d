"""What each piece of the tuning of allocators is worth: ``python bench/tuning.py CASES``.

Runs the proofs of peaks, regressions and leaks as they are, and then without each piece. A
piece without which no verdict is another one can go.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "inside"))

from switched_off import PIECES  # noqa: E402  it lies with what runs in a process

SUMMARIES = {
    "truth": r"budgets 10 % above and below known peaks: (.*)",
    "drawn": r"budgets 10 % above and below known peaks: (.*)",
    "regressions": r"without a change: (.*)|planted in (.*)",
    "histories": r"^ *(\d+ (?!of these).*)|^(.* with a line)",
}
"""The lines of a proof that count what is right and what is not."""
CASES = {"budgets": "budget_*.py", "leaks": "leak_*.py", "clean": "clean_*.py"}
"""The files of tests of a proof."""
_RESULT = re.compile(r"^(?:PASSED|FAILED) .*|.*\((?:undecided|unclear)\)$", re.MULTILINE)
_NAMED = re.compile(r"  \S.*: ")
"""A line on what was judged wrongly, or not at all."""
_NUMBERS = re.compile(r"\d[\d,.]*")


def commands(quick: int) -> Mapping[str, list[str]]:
    """The proofs that are programs of their own.

    Args:
        quick: how often they repeat what they repeat.
    """
    return {
        "truth": ["truth.py"],
        "drawn": ["truth.py", "--drawn", "977"],
        "regressions": ["regressions.py", "--times", str(2 * quick)],
        "histories": [
            "histories.py",
            "--seed=977",
            "--moving",
            "--histories",
            str(100 * quick),
        ],
    }


def proof(name: str, command: list[str], environment: Mapping[str, str]) -> list[str]:
    """Run a proof; return its summary, and what it names."""
    done = subprocess.run(
        [sys.executable, str(HERE / command[0]), *command[1:]],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    found = re.findall(SUMMARIES[name], done.stdout, re.MULTILINE)
    lines = ["".join(groups) if isinstance(groups, tuple) else groups for groups in found]
    named = [line for line in done.stdout.splitlines() if _NAMED.match(line)]
    return [*(lines or [done.stderr[-2000:]]), *named]


def case(file: Path, environment: Mapping[str, str]) -> list[str]:
    """Run a file of tests; return what became of each, without the numbers in it."""
    flags = [] if file.name.startswith("budget_") else ["--mem-leak-check"]
    with tempfile.TemporaryDirectory() as folder:
        test = Path(folder) / f"test_{file.name}"
        test.write_text(file.read_text(encoding="utf-8"), encoding="utf-8")
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "--tb=no", "-rA", *flags, str(test)],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
    return [_NUMBERS.sub("N", line)[:120] for line in _RESULT.findall(done.stdout)]


def main() -> int:
    """Print what each proof says with everything, and what it says without each piece."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("cases", type=Path, help="a folder of tests to run as well")
    parser.add_argument(
        "--without", action="append", choices=["nothing", *PIECES], help="only these"
    )
    parser.add_argument("--proofs", default="budgets,truth,drawn,regressions,histories")
    parser.add_argument("--quick", type=int, default=2, help="how often to repeat")
    options = parser.parse_args()
    before: dict[str, list[str]] = {}
    for piece in options.without or ["nothing", *PIECES]:
        environment = {
            **os.environ,
            "PYTHONPATH": str(HERE / "inside"),
            "PYTEST_ADDOPTS": "-p switched_off",
            "MEMGUARD_BENCH_WITHOUT": piece.replace("nothing", ""),
        }
        for name in options.proofs.split(","):
            if name in CASES:
                files = sorted(options.cases.glob(CASES[name]))
                found = [line for file in files for line in case(file, environment)]
            else:
                found = proof(name, commands(options.quick)[name], environment)
            was = before.setdefault(name, found)
            changed = found if found is was else [line for line in found if line not in was]
            gone = [f"not: {line}" for line in was if line not in found]
            print(f"without {piece}, {name}:", flush=True)
            print(*(f"    {line}" for line in [*changed, *gone]), sep="\n", flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
