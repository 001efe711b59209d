"""Keys under which a session keeps what other parts of the plugin ask for later."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pytest_memguard.extension import Check
    from pytest_memguard.model.aborts import Abort
    from pytest_memguard.model.admission import ParallelRun
    from pytest_memguard.model.alerts import Alert
    from pytest_memguard.model.flights import LostWorker
    from pytest_memguard.model.results import Outcome
    from pytest_memguard.plugin.fresh.fresh_budgets import FreshBudgets
    from pytest_memguard.plugin.fresh.fresh_process import FreshProcess
    from pytest_memguard.plugin.items import ItemHooks
    from pytest_memguard.plugin.loaded_libraries import LoadedLibraries
    from pytest_memguard.plugin.parallel.expected_needs import ExpectedNeeds
    from pytest_memguard.plugin.repeating.terminal_line import TerminalLine
    from pytest_memguard.storage.known_leaks import KnownLeaksFile
    from pytest_memguard.storage.run_folder import RunFolder

ITEMS: pytest.StashKey[ItemHooks] = pytest.StashKey()
"""What measures tests in this process."""
FRESH: pytest.StashKey[FreshBudgets] = pytest.StashKey()
"""What measures tests again whose budgets could not be judged."""
PROCESS: pytest.StashKey[FreshProcess] = pytest.StashKey()
"""The process that is forked before the first test, if anything may need it."""
LOADED: pytest.StashKey[LoadedLibraries] = pytest.StashKey()
"""The libraries that the tests have loaded, if these are stored."""
CHECKS: pytest.StashKey[Sequence[Check]] = pytest.StashKey()
"""Those of other plugins, whose hooks are called once in a run."""
CALLED: pytest.StashKey[Sequence[object]] = pytest.StashKey()
"""The plugins whose hooks for checks have been called."""
START: pytest.StashKey[Callable[[], None]] = pytest.StashKey()
"""Sets up what measures tests, where no test has called for it so far."""
KNOWN: pytest.StashKey[KnownLeaksFile] = pytest.StashKey()
"""The leaks that were accepted before."""
INTERRUPTED: pytest.StashKey[Outcome] = pytest.StashKey()
"""What is known of a leak check that was interrupted."""
LINE: pytest.StashKey[TerminalLine] = pytest.StashKey()
"""The line on a terminal that shows a leak check that lasts."""
LOST: pytest.StashKey[list[LostWorker]] = pytest.StashKey()
"""Workers of pytest-xdist that were lost in this run."""
ABORT: pytest.StashKey[Abort] = pytest.StashKey()
"""Why this run was stopped, if it used too much memory."""
FLIGHT_FOLDER: pytest.StashKey[RunFolder] = pytest.StashKey()
"""Where the flight records of this run are."""
ALERTS: pytest.StashKey[list[Alert]] = pytest.StashKey()
"""The levels of memory that processes of this run have reached."""
EXPECTED: pytest.StashKey[ExpectedNeeds] = pytest.StashKey()
"""What tests are expected to need, if they wait for memory."""
PARALLEL: pytest.StashKey[Callable[[], ParallelRun]] = pytest.StashKey()
"""Returns how tests shared the memory so far, if they do."""
WORKERS_LINE: pytest.StashKey[str] = pytest.StashKey()
"""How many workers ``-n auto`` starts, and why."""
