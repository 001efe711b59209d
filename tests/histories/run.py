"""Runs a history in a fork of a process in which pytest and the plugin are ready."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.histories.model import Answer, History
from tests.histories.reference import NONE
from tests.histories.server import OUTPUT, RESULTS
from tests.histories.source import files

_ROOT = Path(__file__).parents[2]
_LINE = re.compile(r"^\S*::(test_\d+): .* \([a-z-]+\)$", re.MULTILINE)


class Runner:
    """Runs histories.

    Args:
        folder: for files.
        flags: the flags of pytest.
        free_chunks: MiB of a C heap with free chunks before the first test.
        environment: variables beside those of this process.
    """

    def __init__(
        self,
        folder: str,
        flags: Sequence[str] = (),
        free_chunks: int = 0,
        environment: Mapping[str, str] = NONE,
    ) -> None:
        """Start the process that forks."""
        self._folder = Path(folder, "history")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.histories.server", folder, str(free_chunks), *flags],
            cwd=_ROOT,
            env={**os.environ, **environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(self, history: History, limits: Sequence[int | None]) -> list[Answer]:
        """What pytest and the plugin say of every test."""
        into, out = self._process.stdin, self._process.stdout
        assert into is not None
        assert out is not None
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir()
        for name, text in files(history, limits).items():
            (self._folder / name).write_text(text, encoding="utf-8")
        into.write(f"{self._folder}\n")
        into.flush()
        status = out.readline().strip()
        output = (self._folder / OUTPUT).read_text(encoding="utf-8")
        assert status == "0", f"exit status {status}: {output}"
        tests = json.loads((self._folder / RESULTS).read_text(encoding="utf-8"))
        assert len(history.cases) == len(tests), output
        lines: dict[str, list[str]] = {}
        for match in _LINE.finditer(output):
            lines.setdefault(match[1], []).append(match[0])
        return [
            Answer(**tests[name], lines=tuple(lines.get(name, ())))
            for name in (f"test_{number}" for number in range(len(tests)))
        ]

    def stop(self) -> None:
        """End the process that forks."""
        self._process.communicate()
