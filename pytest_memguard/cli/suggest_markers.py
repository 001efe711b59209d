"""``memguard suggest --write markers``: budgets as markers in the files of tests."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from pytest_memguard.errors import ConfigError
from pytest_memguard.escapes import one_line
from pytest_memguard.judge.suggestions import of_functions
from pytest_memguard.model.suggested import Suggestion, Use
from pytest_memguard.report.suggestions import budget_line
from pytest_memguard.sizes import MIB
from pytest_memguard.storage.files import write_whole
from pytest_memguard.storage.marker_edits import MarkedSource, with_markers

_NAMED: Final = 20


def write_markers(
    common: Suggestion, uses: Iterable[Use], margin: float, *, diff: bool
) -> list[str]:
    """Put markers into the files of tests, and return the lines that say so.

    A test gets one if it needs more than most tests, or has one already.

    Args:
        common: the budget that most tests fit in.
        uses: of each test.
        margin: share of a peak that its budget is above it.
        diff: whether to return the changes and make none.
    """
    by_file: dict[str, dict[str, int]] = {}
    for nodeid, budget in of_functions(uses, margin).items():
        file, _, name = nodeid.partition("::")
        by_file.setdefault(file, {})[name] = budget
    changes: list[str] = []
    left: list[str] = []
    done: dict[str, int] = {}
    for file, budgets in sorted(by_file.items()):
        edited = _edited(file, budgets, common.budget)
        if isinstance(edited, str):
            left.append(f"{file}: {edited}")
            continue
        before, after = edited
        left += [f"{file}::{name}: {why}" for name, why in after.left.items()]
        if not after.changed:
            continue
        done[file] = len(after.changed)
        if diff:
            changes += _diff(file, before, after.text)
        else:
            _write(Path(file), after.text)
    lines = changes or _summary(done)
    return [*lines, *_left_lines(left), *([] if diff else _for_others(common))]


def _edited(
    file: str, budgets: Mapping[str, int], common: int
) -> tuple[str, MarkedSource] | str:
    """Return the source of a file before and after, or why it is left as it is."""
    path, root = Path(file), Path.cwd().resolve()
    large = {n: b // MIB for n, b in budgets.items() if n and b > common}
    others = {n: b // MIB for n, b in budgets.items() if n and n not in large}
    if path.suffix != ".py" or not path.is_file():
        return _only_if(large, "there is no such file of Python here")
    if not path.resolve().is_relative_to(root):
        return _only_if(large, "it is outside of this folder")
    try:
        before = path.read_bytes().decode("utf-8")
        return before, with_markers(before, large, others)
    except OSError as error:
        return _only_if(large, f"it cannot be read: {error.strerror or error}")
    except UnicodeDecodeError:
        return _only_if(large, "it is not UTF-8")
    except ConfigError as error:
        return _only_if(large, str(error))


def _only_if(large: Mapping[str, int], why: str) -> tuple[str, MarkedSource] | str:
    """Return why a file is left as it is, if any of its tests should have had a marker."""
    return why if large else ("", MarkedSource(text="", left={}))


def _diff(file: str, before: str, after: str) -> Iterator[str]:
    lines = (before.splitlines(), after.splitlines())
    return difflib.unified_diff(*lines, file, file, lineterm="")


def _write(path: Path, text: str) -> None:
    try:
        write_whole(path, text)
    except OSError as error:
        msg = f"{path} could not be written: {error.strerror or error}"
        raise ConfigError(msg) from error


def _summary(done: Mapping[str, int]) -> list[str]:
    """Return how many markers were written to which files."""
    if not done:
        return ["the tests have these budgets"]
    counts = [f"{_markers(count)}: {file}" for file, count in done.items()]
    if len(counts) > _NAMED:
        counts[_NAMED:] = [f"... and {len(counts) - _NAMED:,} more files"]
    return counts


def _markers(count: int) -> str:
    return "1 marker" if count == 1 else f"{count:,} markers"


def _left_lines(left: Sequence[str]) -> list[str]:
    """Return what was left as it is, and why."""
    if not left:
        return []
    lines = [f"  {one_line(line)}" for line in left[:_NAMED]]
    if len(left) > _NAMED:
        lines.append(f"  ... and {len(left) - _NAMED:,} more")
    return ["", "Left as they are:", *lines]


def _for_others(common: Suggestion) -> list[str]:
    """Return how tests get a budget that need none of their own."""
    return [
        "",
        "For all other tests, in pytest's config file (--write ini has more lines):",
        "  mem_budgets =",
        f"      {budget_line(common)}",
    ]
