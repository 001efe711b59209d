"""Runs pytest in child processes that take turns, and notes what each used."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

NOTES = "MEMGUARD_BENCH_NOTES"
"""Environment variable: the file a measured process writes its own numbers to."""
_KIB = 1024 if sys.platform != "darwin" else 1
_STRAY = (
    "PYTEST_ADDOPTS",
    "PYTEST_DISABLE_PLUGIN_AUTOLOAD",
    "PYTEST_PLUGINS",
    "PYTHONDONTWRITEBYTECODE",
)


class RunError(Exception):
    """A child process failed to do what it was started for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """One way to run a suite: the installed plugins that stay on, and flags."""

    name: str
    """What tables call it."""
    plugins: frozenset[str] = frozenset()
    """Names of installed plugins that are not blocked."""
    flags: tuple[str, ...] = ()
    """Arguments for pytest; ``{folder}`` stands for the folder of the suite."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """Variables that are set; ``{folder}`` stands for the same."""

    def variables(self, suite: Path) -> dict[str, str]:
        """The variables that are set for a suite."""
        return {name: _placed(text, suite) for name, text in self.environment.items()}

    def command(self, suite: Path) -> list[str]:
        """The command line that runs a suite."""
        blocked = [f"-pno:{name}" for name in installed_plugins() - self.plugins]
        pytest = [sys.executable, "-m", "pytest", "-q", *sorted(blocked)]
        return [*pytest, *(_placed(flag, suite) for flag in self.flags), str(suite)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Used:
    """What one child process used."""

    cpu: float
    """Seconds of user and system time."""
    wall: float
    """Seconds by the clock."""
    peak: int
    """Highest resident bytes."""
    notes: Mapping[str, Any] = field(default_factory=dict)
    """Numbers it wrote about itself."""


PLAIN = Variant(name="plain pytest")
AGAIN = Variant(name="plain pytest again")
IDLE = Variant(name="installed, idle", plugins=frozenset({"memguard"}))
BUDGET = Variant(
    name="--mem-budget 100",
    plugins=frozenset({"memguard"}),
    flags=("--mem-budget", "100"),
)
REPORT = Variant(name="--mem", plugins=frozenset({"memguard"}), flags=("--mem",))
BOTH = Variant(
    name="--mem-budget 100 --mem",
    plugins=frozenset({"memguard"}),
    flags=("--mem-budget", "100", "--mem"),
)
MEMRAY = Variant(
    name="pytest-memray",
    plugins=frozenset({"memray"}),
    flags=("--memray", "--hide-memray-summary"),
)

_JUNIT = ("-vv", "--junitxml={folder}/junit.xml")  # with -q that is one -v
_GITHUB = {
    "GITHUB_ACTIONS": "true",
    "GITHUB_STEP_SUMMARY": "{folder}/summary.md",
    "GITHUB_WORKSPACE": "{folder}",
}
JUNIT = Variant(name="plain pytest, -v --junitxml", flags=_JUNIT, environment=_GITHUB)
EVERYTHING = Variant(
    name="every report",
    plugins=frozenset({"memguard"}),
    flags=(
        *_JUNIT,
        "--mem-budget=100",
        "--mem",
        "--mem-json={folder}/memory.json",
        "--mem-markdown={folder}/memory.md",
        "--mem-gitlab={folder}/gitlab.json",
        "--mem-save={folder}/baseline.json",
        "--mem-history={folder}/history.sqlite",
    ),
    environment=_GITHUB,
)

Round = Mapping[str, Used]
"""What every variant used, by its name, in one round of turns."""


def installed_plugins() -> frozenset[str]:
    """The names of all plugins pytest would load by itself."""
    return frozenset(point.name for point in entry_points(group="pytest11"))


def run(variant: Variant, suite: Path) -> Used:
    """Run a suite once.

    Raises:
        RunError: if not every test passed.
    """
    return spawn(variant.command(suite), suite.parent, variant.variables(suite))


def spawn(
    command: Sequence[str], folder: Path, variables: Mapping[str, str] | None = None
) -> Used:
    """Run a command once.

    Args:
        command: what to run.
        folder: keeps what it prints, what it notes, and all bytecode.
        variables: set in its environment.

    Raises:
        RunError: if its exit status is not zero.
    """
    printed, notes = folder / "printed", folder / "notes"
    notes.unlink(missing_ok=True)
    with printed.open("wb") as output:
        start = time.perf_counter()
        child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=_environment(folder, notes) | dict(variables or {}),
        )
        _, status, usage = os.wait4(child.pid, 0)
        wall = time.perf_counter() - start
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        tail = printed.read_text(errors="replace")[-4000:]
        msg = f"exit status {child.returncode}: {shlex.join(command)}\n{tail}"
        raise RunError(msg)
    return Used(
        cpu=usage.ru_utime + usage.ru_stime,
        wall=wall,
        peak=usage.ru_maxrss * _KIB,
        notes=json.loads(notes.read_text()) if notes.exists() else {},
    )


def _placed(text: str, suite: Path) -> str:
    return text.replace("{folder}", str(suite))


def _environment(folder: Path, notes: Path) -> dict[str, str]:
    kept = {key: text for key, text in os.environ.items() if key not in _STRAY}
    return kept | {
        NOTES: str(notes),
        "PYTHONHASHSEED": "0",
        "PYTHONPYCACHEPREFIX": str(folder / "bytecode"),
    }


def rounds(variants: Sequence[Variant], suite: Path, count: int) -> list[Round]:
    """Let the variants take turns, there and back again: A B, B A, A B, ...

    A first round, which is not counted, fills the caches.
    """
    progress(f"{suite.name}: {', '.join(v.name for v in variants)}; {count} rounds")
    for variant in variants:
        run(variant, suite)
    done: list[Round] = []
    for number in range(count):
        order = variants if number % 2 == 0 else variants[::-1]
        done.append({variant.name: run(variant, suite) for variant in order})
    return done


def progress(text: str) -> None:
    """Report progress to the user."""
    print(f"[{time.strftime('%H:%M:%S')}] {text}", file=sys.stderr, flush=True)
