"""The leak check of one function, asked for by a test through the fixture."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Mapping, Sequence

import pytest

from pytest_memguard.checks.leak.plan import LeakPlanner
from pytest_memguard.checks.leak.verdicts import LeakVerdicts
from pytest_memguard.errors import ConfigError
from pytest_memguard.model.leaks import KnownLeak, Verdict
from pytest_memguard.plugin.items import ItemHooks
from pytest_memguard.plugin.keys import LINE
from pytest_memguard.plugin.options import settings_of
from pytest_memguard.plugin.repeating.leak_report import known_leaks
from pytest_memguard.plugin.repeating.leakhooks import failure
from pytest_memguard.plugin.repeating.owners import owners_of
from pytest_memguard.recording.check import LeakCheck, call_of


class FunctionLeaks:
    """Checks functions with the settings of the run.

    Args:
        config: the configuration of pytest.
        item: the test that asks.
        items: the hooks that measure it.
    """

    def __init__(self, config: pytest.Config, item: pytest.Item, items: ItemHooks) -> None:
        self._config = config
        self._item = item
        self._items = items

    def check(
        self,
        function: Callable[..., object],
        args: Sequence[object],
        kwargs: Mapping[str, object],
    ) -> Verdict:
        """Check one function.

        Raises:
            LeakDetected: if it leaks, and the leak was not accepted.
        """
        enabled = gc.isenabled()
        settings = settings_of(self._config)
        leaks = LeakCheck(
            settings.leak_blame,
            lambda: owners_of(self._config),
            watcher=self._config.stash.get(LINE, None),
        )
        heap = leaks.heap()
        function(*args, **kwargs)
        kept = leaks.kept_since(heap, collect=enabled)
        if self._items.tests.paused:
            return Verdict(state="clean", calls=1, reason="the test itself is being repeated")
        plan = LeakPlanner(settings).defaults
        line = self._config.stash.get(LINE, None)
        gaps = self._items.instruments.gaps
        gaps += [gap for gap in leaks.counters().gaps if gap not in gaps]
        call = call_of(function, *args, **kwargs)
        if line is not None:
            line.begin(self._item.nodeid, plan.limits.seconds)
        try:
            reading = leaks.run(call, plan.limits, respect_disabled=enabled, kept=kept)
        finally:
            if line is not None:
                line.end()
        leaks.close()
        verdicts = LeakVerdicts(settings, f"{self._config.rootpath}{os.sep}")
        reading = verdicts.accepted(
            reading,
            tolerance=plan.tolerance,
            ignore=(),
            known=self._known() if reading.verdict.state == "leaking" else {},
            nodeid=self._item.nodeid,
        )
        # a test may check several functions: the worst of them stands for it
        before = self._items.repeated.leak
        if before is None or _RANK[reading.verdict.state] > _RANK[before.verdict.state]:
            self._items.repeated.leak = reading
        if verdicts.fails(reading):
            raise failure(verdicts.text(reading, self._item.nodeid), reading)
        return reading.verdict

    def _known(self) -> dict[str, KnownLeak]:
        try:
            return known_leaks(self._config).leaks()
        except ConfigError as error:
            pytest.fail(str(error), pytrace=False)


_RANK = {"clean": 0, "settling": 1, "undecided": 2, "leaking": 3}
