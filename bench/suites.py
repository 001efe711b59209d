"""Makes the suites that are measured, each in a folder of its own."""

from __future__ import annotations

import shutil
from pathlib import Path

FILES = 4
INSIDE = Path(__file__).with_name("inside")
"""What runs within the measured processes."""


def functions(folder: Path, tests: int, *, watcher: str = "", name: str = "functions") -> Path:
    """A suite of empty test functions in a few files.

    Args:
        folder: where to put the suite's folder.
        tests: how many.
        watcher: the module of ``inside`` that becomes its conftest.
        name: what its folder is called, behind the number of tests.
    """
    suite = _empty(folder, f"{tests}-{name}", watcher)
    numbers = range(tests)
    for file in range(min(FILES, tests)):
        bodies = (f"def test_{n}():\n    pass\n" for n in numbers[file::FILES])
        (suite / f"test_file_{file}.py").write_text("\n\n".join(bodies))
    return suite


def parametrised(folder: Path, tests: int, *, watcher: str = "") -> Path:
    """A suite of one empty test function with many parameters."""
    suite = _empty(folder, f"{tests}-parameters", watcher)
    (suite / "test_parameters.py").write_text(
        "import pytest\n\n\n"
        f'@pytest.mark.parametrize("number", range({tests}))\n'
        "def test_number(number):\n    pass\n"
    )
    return suite


def work(folder: Path, repeats: int) -> Path:
    """A suite of one test that allocates a lot and notes how long that took."""
    return _allocating(folder, "work", f"REPEATS = {repeats}")


def turns(folder: Path, pairs: int) -> Path:
    """A suite of tests that allocate, every second one with a budget."""
    return _allocating(folder, "turns", f"PAIRS = {pairs}")


def _allocating(folder: Path, name: str, setting: str) -> Path:
    suite = _empty(folder, name, "")
    shutil.copy(INSIDE / "allocate.py", suite)
    left = setting.partition("=")[0]
    lines = (INSIDE / f"{name}.py").read_text().splitlines()
    lines = [setting if line.startswith(left) else line for line in lines]
    (suite / f"test_{name}.py").write_text("\n".join([*lines, ""]))
    return suite


def _empty(folder: Path, name: str, watcher: str) -> Path:
    suite = folder / (f"{name}-{watcher}" if watcher else name)
    suite.mkdir()
    (suite / "pytest.ini").write_text("[pytest]\n")
    if watcher:
        shutil.copy(INSIDE / f"{watcher}.py", suite / "conftest.py")
    return suite
