"""The tools that are compared: how each is run on a case, and how its answer is read."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import extension
from manifest import Case

INSIDE = Path(__file__).parent / "inside"
PATIENCE = 60
"""Seconds after which a tool has no verdict."""
SILENT = "no verdict"
"""The state where a tool did not get to one."""
_STRAY = (
    "PYTEST_ADDOPTS",
    "PYTEST_DISABLE_PLUGIN_AUTOLOAD",
    "PYTEST_PLUGINS",
    "PYTHONDONTWRITEBYTECODE",
    "PYTHONMALLOC",
    "PYTHONPATH",
)
_UNITS = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a tool reported of a case."""

    state: str
    """leaking, clean, settling, undecided or no verdict."""
    calls: int | None = None
    """Calls it took."""
    seconds: float | None = None
    """From the test's setup to the end of its report, with all that is done in between."""
    said: str = ""
    """In its own words, shortened."""
    lines: tuple[tuple[str, int], ...] = ()
    """File and number of the lines it names."""
    types: tuple[str, ...] = ()
    """Types it names."""
    holder: str = ""
    """What it names as the holder of the new objects."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A folder with everything the child processes need."""

    folder: Path
    """Where it is."""
    no_extension: str
    """Why there is no C extension, if there is none."""

    def run(self, case: Case, command: list[str], more: Mapping[str, str]) -> Mapping[str, Any]:
        """Run pytest once, and return what the processes noted, by the notes' names.

        Args:
            case: what it is about.
            command: arguments for pytest.
            more: variables for its environment.
        """
        notes = self.folder / "notes"
        shutil.rmtree(notes, ignore_errors=True)
        notes.mkdir()
        printed = self.folder / "printed"
        with printed.open("wb") as output:
            child = subprocess.Popen(
                [sys.executable, "-m", "pytest", "-q", "-pno:cacheprovider", *command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=self.folder,
                env=self._environment(case, notes) | more,
                start_new_session=True,
            )
            try:
                child.wait(PATIENCE)
                ended = f"exit status {child.returncode}"
            except subprocess.TimeoutExpired:
                ended = f"no end after {PATIENCE} s"
            finally:
                with suppress(ProcessLookupError):
                    os.killpg(child.pid, signal.SIGKILL)
                child.wait()
        tail = printed.read_text(errors="replace").strip().splitlines()[-1:]
        found: dict[str, Any] = {"ended": ": ".join([ended, *tail])}
        for path in notes.glob("*.json"):
            with suppress(json.JSONDecodeError):  # killed while it wrote
                found[path.stem] = json.loads(path.read_text())
        return found

    def _environment(self, case: Case, notes: Path) -> dict[str, str]:
        kept = {key: text for key, text in os.environ.items() if key not in _STRAY}
        return kept | {
            "MEMGUARD_BENCH_CASE": case.module,
            "MEMGUARD_BENCH_NOTES": str(notes),
            "PYTHONHASHSEED": "0",
            "PYTHONPATH": str(self.folder),
            "PYTHONPYCACHEPREFIX": str(self.folder / "bytecode"),
        }


def prepare(folder: Path) -> Place:
    """Put cases, harnesses and the C extension into a folder."""
    for path in (*INSIDE.glob("*.py"), *INSIDE.parent.glob("cases/*/*.py")):
        shutil.copy(path, folder)
    (folder / "pytest.ini").write_text("[pytest]\n")
    return Place(folder=folder, no_extension=extension.build(folder))


def _only(*plugins: str) -> list[str]:
    installed = {point.name for point in entry_points(group="pytest11")}
    return ["-pwatch", *(f"-pno:{name}" for name in sorted(installed - {*plugins}))]


def memguard(place: Place, case: Case) -> Iterator[tuple[str, Answer]]:
    """The case as it stands, with one flag."""
    flags = ["--mem-leak-check", f"--mem-json={place.folder / 'notes' / 'memguard.json'}"]
    notes = place.run(case, [f"{case.module}.py", *flags, *_only("memguard")], {})
    tests = notes.get("memguard", {}).get("tests") or [{}]
    leak = tests[0].get("leak")
    yield "pytest-memguard", _silence(notes) if leak is None else _reading(leak, notes)


def _reading(leak: Mapping[str, Any], notes: Mapping[str, Any]) -> Answer:
    verdict, diagnosis = leak["verdict"], leak.get("blame") or {}
    rates = [
        f"{rate['signal']} {rate['per_call']:.3g} per call" for rate in verdict.get("rates", ())
    ]
    return Answer(
        state=verdict["state"],
        calls=verdict["calls"],
        seconds=notes.get("watched", {}).get("seconds", leak.get("seconds")),
        said="; ".join(filter(None, [verdict.get("reason", ""), *rates])),
        lines=tuple(place for line in diagnosis.get("lines", ()) for place in _places(line)),
        types=tuple(growth["type"] for growth in diagnosis.get("types", ())),
        holder=(diagnosis.get("path") or {}).get("holder") or "",
    )


def _places(line: Mapping[str, Any]) -> Iterator[tuple[str, int]]:
    """A line, and that of the project which came to it."""
    yield line["file"], line["line"]
    file, _, number = line["caller"].rpartition(":")
    if file:
        yield file, int(number)


def psleak(place: Place, case: Case) -> Iterator[tuple[str, Answer]]:
    """The case's test as the callable of a test case, in the environment it asks for."""
    more = {"PYTHONMALLOC": "malloc", "PYTHONUNBUFFERED": "1"}
    notes = place.run(case, ["test_psleak.py", *_only()], more)
    if "psleak" not in notes or "watched" not in notes:
        answer = _silence(notes)
    elif notes["psleak"]["state"] == SILENT:
        answer = Answer(state=SILENT, said=_error(notes["watched"]["text"]))
    else:
        answer = Answer(
            state=notes["psleak"]["state"],
            calls=notes["psleak"]["calls"],
            seconds=notes["watched"]["seconds"],
            said=notes["psleak"]["said"].partition("\n")[0],
        )
    yield "psleak", answer


def memray(place: Place, case: Case) -> Iterator[tuple[str, Answer]]:
    """The case's test in a loop, once; judged by two limits."""
    notes = place.run(case, ["test_memray.py", *_only("memray")], {})
    watched = notes.get("watched", {})
    report = "\n".join(text for name, text in watched.get("sections", ()) if "leaked" in name)
    sizes = [
        float(size) * _UNITS[unit]
        for size, unit in re.findall(r"- ([\d.]+)(\w+) allocated here", report)
    ]
    understood = watched.get("outcome") == "passed" or sizes
    for limit, bound in (("1 KB", 1 << 10), ("1 MB", 1 << 20)):
        over = [size for size in sizes if size >= bound]
        yield (
            f'limit_leaks("{limit}")',
            Answer(
                state="leaking" if over else "clean",
                calls=100,
                seconds=watched["seconds"],
                said=f"{len(over)} call stacks keep more, {max(over):,.0f} bytes at most"
                if over
                else "",
            )
            if understood
            else _silence(notes),
        )


def _silence(notes: Mapping[str, Any]) -> Answer:
    text = notes.get("watched", {}).get("text", "")
    return Answer(state=SILENT, said=_error(text) or notes["ended"])


def _error(text: str) -> str:
    lines = text.splitlines()
    errors = [line.removeprefix("E").strip() for line in lines if line.startswith("E ")]
    return (errors or lines or [""])[0]


TOOLS: Mapping[str, Callable[[Place, Case], Iterator[tuple[str, Answer]]]] = {
    "memguard": memguard,
    "psleak": psleak,
    "pytest-memray": memray,
}
"""By the names of the command line."""
MODULES: Mapping[str, str] = {
    "memguard": "pytest_memguard",
    "psleak": "psleak",
    "pytest-memray": "pytest_memray",
}
"""What has to be installed for each."""


def installed(tool: str) -> bool:
    """Whether a tool can be run here."""
    return find_spec(MODULES[tool]) is not None
