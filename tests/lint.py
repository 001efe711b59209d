"""The one lint command, ``python -m tests.lint``: form, types, imports, claims and docs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
PYTHON_FOLDERS = (
    *("pytest_memguard", "tests", "bench", "docs", "examples"),
    *("conftest.py", "noxfile.py"),
)

CHECKS: tuple[tuple[str, ...], ...] = (
    ("ruff", "format", "--check", "--quiet", *PYTHON_FOLDERS),
    ("ruff", "check", "--quiet", *PYTHON_FOLDERS),
    ("mypy",),
    ("importlinter", "lint"),
    ("interrogate", "--quiet", "tests"),
    ("docs/write_options.py", "--check"),
)


def command(check: tuple[str, ...]) -> list[str]:
    """The command line of one check, with this interpreter."""
    tool, *arguments = check
    if tool.endswith(".py"):
        return [sys.executable, tool, *arguments]
    if tool == "importlinter":
        return [
            sys.executable,
            "-c",
            "from importlinter.cli import lint_imports_command as c; c()",
        ]
    return [sys.executable, "-m", tool, *arguments]


def main() -> int:
    """Run every check, even after one has failed; 1 if any did."""
    failed = []
    for check in CHECKS:
        done = subprocess.run(command(check), cwd=ROOT, check=False)
        if done.returncode:
            failed.append(" ".join(check[:2]))
    outcome = f"{', '.join(failed)} failed" if failed else "all checks passed"
    sys.stdout.write(f"lint: {outcome}\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
