"""A history as files for pytest, and as a list for people."""

from __future__ import annotations

from collections.abc import Sequence

from tests.histories.model import Case, History

_HEAD = '''"""A history of tests; run it from the root of the repository."""

import pytest

from tests.histories import operations as do

do.use_clock()
do.find_tables()
'''


def limit_text(limit: int) -> str:
    """A limit as a marker has it.

    Args:
        limit: bytes, a multiple of 1024.
    """
    return f"{limit // 1024}KiB"


def files(history: History, limits: Sequence[int | None]) -> dict[str, str]:
    """The files of a history.

    Args:
        history: the tests.
        limits: bytes, one for each.

    Returns:
        Text by name.
    """
    head = [_HEAD, "\nclass TestA:"]
    modules = [[*head]]
    for number, (case, limit) in enumerate(zip(history.cases, limits, strict=True)):
        if number and case.place == "module":
            modules.append([*head])
        elif number and case.place == "class":
            modules[-1].append(f"\nclass Test{chr(ord('A') + number)}:")
        modules[-1].append(_function(number, case, limit, history.seconds))
    return {f"test_{i}.py": "\n".join(parts) for i, parts in enumerate(modules)}


def _function(number: int, case: Case, limit: int | None, seconds: int) -> str:
    lines, name = [], ""
    fixture = case.fixture
    if fixture is not None:
        name = f"memory_{number}"
        arguments = f"{fixture.kind!r}, {fixture.size}, {fixture.holder!r}"
        lines += [
            f"@pytest.fixture(scope={fixture.scope!r})",
            "@staticmethod",
            f"def {name}():",
            f"    return do.held({arguments})\n",
        ]
    if limit is not None:
        lines.append(f"@pytest.mark.mem_budget({limit_text(limit)!r})")
    lines.append(f"def test_{number}(self{', ' + name if name else ''}):")
    steps = [f"passes({seconds})"] if seconds else []
    steps += map(str, case.operations)
    lines += [f"    do.{step}" for step in steps] or ["    pass"]
    return "\n".join(f"    {line}" for line in lines) + "\n"
