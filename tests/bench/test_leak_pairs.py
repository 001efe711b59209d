"""Two leaks in one test: both are found and named. All pairs of kinds are a benchmark."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from textwrap import dedent
from types import ModuleType

import pytest

from tests.bench.test_leak_cases import load
from tests.plugin.leaky import IMPATIENT
from tests.support.forked_pytest import fresh_pytest

# every kind once
SOME = (("objects", "descriptor"), ("thread", "native"), ("lost", "text"), ("bytes", "cached"))


@pytest.fixture(scope="module")
def pairs() -> ModuleType:
    """The benchmark."""
    return load("pairs")


@pytest.fixture
def named(pairs, tmp_path, monkeypatch):
    """The names of the leaks that a check finds where some are planted."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.chdir(tmp_path)

    (tmp_path / "conftest.py").write_text(dedent(IMPATIENT))

    def run(arguments: Sequence[str], folder: Path) -> None:
        # the benchmark makes 2,000 calls, as users do; these leaks are as clear after a few
        fresh_pytest([*arguments, "--mem-leak-calls=120"], folder)

    return lambda *planted: pairs.found(pairs.source(*planted), tmp_path, run)


@pytest.mark.parametrize("names", SOME, ids="-".join)
def test_pair(pairs, named, names):
    """Each leak has a part of its own, with the holder or the function that leaks."""
    kinds = {kind.name: kind for kind in pairs.KINDS}
    pair = tuple(kinds[name] for name in names)
    found = named(*pair)
    assert pairs.is_right(pair, found), found
