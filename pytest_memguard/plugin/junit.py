"""Shares the XML of our properties between the tests of a JUnit file that have the same."""

from __future__ import annotations

from typing import Any, Final

import pytest

from pytest_memguard.plugin.properties import names
from pytest_memguard.plugin.pytest_internals.plugins import xml_reporters

_MOST_SHARED: Final = 4_096
"""Properties that are kept for others; where they are all different, sharing saves nothing."""


class JunitProperties:
    """Replaces properties by equal ones of earlier tests.

    pytest keeps the XML of each test until the file is written. Three properties take more
    than a thousand bytes; most tests have the same budget, and few different peaks, which
    are whole pages.

    Args:
        config: the configuration of pytest.
    """

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._names = names()
        self._seen = 0
        self._open: list[Any] = []
        self._shared: dict[tuple[str, str], Any] = {}

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Share what pytest has just made of a test that is over."""
        reporters = xml_reporters(self._config)
        if report.when != "teardown" or reporters is None:
            return
        known = [*self._open, *reporters[self._seen :]]
        self._seen = len(reporters)
        self._open = []
        for reporter in known:
            # pytest replaces the method when a test is over: it then returns what was made
            if "to_xml" in vars(reporter):
                self._share(reporter.to_xml().find("properties"))
            else:
                self._open.append(reporter)

    def _share(self, properties: Any) -> None:
        for at, element in enumerate(properties if properties is not None else ()):
            name, value = element.get("name"), element.get("value")
            if name not in self._names:
                continue
            shared = self._shared.get((name, value))
            if shared is not None:
                properties[at] = shared
            elif len(self._shared) < _MOST_SHARED:
                self._shared[name, value] = element
