"""A process in which pytest and the plugin are ready: it forks for each history it is given."""

from __future__ import annotations

import gc
import json
import os
import sys
import traceback
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from pytest_memguard.probes.slack import SlackProbe
from pytest_memguard.units import parse_size
from tests.histories import operations
from tests.histories.reference import map_code
from tests.support.forked_pytest import load

PLUGIN = "pytest_memguard.plugin.hooks"
RESULTS = "results.json"
OUTPUT = "output.txt"
NEEDLESS = (
    *("cacheprovider", "debugging", "doctest", "faulthandler", "junitxml", "logging"),
    *("pastebin", "setuponly", "setupplan", "stepwise", "unittest"),
)
"""pytest's own plugins that no history needs."""
_PATIENCE = 120  # seconds for one history


class Server:
    """Waits for orders where pytest would collect; a child goes on from there.

    Args:
        orders: the descriptor that folders come from, one a line.
        answers: the descriptor for the exit status of each child.
    """

    def __init__(self, orders: int, answers: int) -> None:
        """Wait for nothing yet."""
        self._orders = orders
        self._answers = answers
        self._results: dict[str, dict[str, Any]] = {}
        self.folder: Path | None = None

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection(self, session: pytest.Session) -> None:
        """Fork for every order, and let the child collect and run what is in its folder."""
        gc.collect()
        gc.freeze()
        with open(self._orders, encoding="utf-8", closefd=False) as orders:
            for line in iter(orders.readline, ""):
                sys.stdout.flush()
                child = os.fork()
                if child == 0:
                    self._begin(session, Path(line.rstrip("\n")))
                    return
                _, status = os.waitpid(child, 0)
                os.write(self._answers, f"{os.waitstatus_to_exitcode(status)}\n".encode())
        os._exit(0)

    def _begin(self, session: pytest.Session, folder: Path) -> None:
        import signal

        signal.alarm(_PATIENCE)
        self.folder = folder
        out = os.open(folder / OUTPUT, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(out, 1)
        os.dup2(out, 2)
        os.close(out)
        map_code()
        session.config.args = sorted(map(str, folder.glob("test_*.py")))

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Note what became of a test."""
        report = yield
        entry = self._results.setdefault(item.name, {"result": "passed", "exceeded": False})
        if report.failed:
            entry["result"] = "failed"
            entry["exceeded"] |= call.excinfo is not None and "BudgetExceeded" in (
                base.__name__ for base in call.excinfo.type.__mro__
            )
        if call.when == "teardown":
            peaks = dict(item.user_properties)
            entry["peak"] = peaks.get("memguard_peak_bytes")
        return report

    @pytest.hookimpl(tryfirst=True)
    def pytest_unconfigure(self) -> None:
        """In a child, leave the results in the folder; there is nothing to clean up."""
        if self.folder is not None:
            text = json.dumps(self._results)
            (self.folder / RESULTS).write_text(text, encoding="utf-8")
            sys.stdout.flush()
            os._exit(0)


def _warm_up() -> None:
    """Do what takes long only the first time in a process."""
    try:
        raise AssertionError
    except AssertionError:
        str(pytest.ExceptionInfo.from_current().getrepr())
    parse_size("1 MiB")  # regular expressions are compiled only once
    SlackProbe().read()


def main() -> None:
    """Import what runs need, and start pytest."""
    folder, free_chunks, *flags = sys.argv[1:]
    orders, answers = os.dup(0), os.dup(1)
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(null, 1)
    load()
    _warm_up()
    if int(free_chunks):
        operations.leave_free_chunks(int(free_chunks))
    sys.path.append(folder)
    os.chdir(folder)
    Path("pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    sys.dont_write_bytecode = True
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    blocked = [part for name in NEEDLESS for part in ("-p", f"no:{name}")]
    arguments = ["-p", PLUGIN, *blocked, "--assert=plain", "--capture=no", "-q", *flags, "."]
    try:
        pytest.main(arguments, plugins=[Server(orders, answers)])
    except BaseException:  # noqa: BLE001  a child must not go on as anything else
        traceback.print_exc()
    sys.stdout.flush()
    os._exit(1)  # a run that goes well has ended in a hook


if __name__ == "__main__":
    main()
