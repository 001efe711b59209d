"""psleak as its documentation shows it: a test case that executes what is to be checked."""

from __future__ import annotations

import json
import os
from pathlib import Path

import case
import psleak
import pytest

globals().update(case.FIXTURES)


class TestLeaks(psleak.MemoryLeakTestCase):
    """All settings as they come."""

    @pytest.fixture(autouse=True)
    def _fixtures(self, request: pytest.FixtureRequest) -> None:
        self.arguments = case.arguments(request)

    def test_case(self) -> None:
        """Count the calls and note what psleak says."""
        calls, said, state = 0, "", "no verdict"
        test, arguments = case.TEST, self.arguments

        def call() -> None:
            nonlocal calls
            calls += 1
            test(**arguments)

        try:
            self.execute(call)
            state = "clean"
        except psleak.Error as error:
            state, said = "leaking", f"{type(error).__name__}: {error}"
            raise
        finally:
            notes = {"state": state, "calls": calls, "said": said}
            Path(os.environ["MEMGUARD_BENCH_NOTES"], "psleak.json").write_text(
                json.dumps(notes)
            )
