"""Writes the run in the formats that were asked for, other plugins' among them."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_memguard.escapes import one_line
from pytest_memguard.extension import Renderer
from pytest_memguard.options.settings import Settings
from pytest_memguard.plugin.collector import Collector
from pytest_memguard.plugin.extensions import foreign_renderers
from pytest_memguard.plugin.options import usage_error
from pytest_memguard.report.renderers import RENDERERS
from pytest_memguard.storage.files import check_writable


class Outputs:
    """Writes files at the end of a run, in the process that talks to the user.

    Args:
        config: the configuration of pytest.
        settings: the settings of the run.
        collector: has every outcome.

    Raises:
        pytest.UsageError: if there is no such format, or a file could not be written.
    """

    def __init__(self, config: pytest.Config, settings: Settings, collector: Collector) -> None:
        self._collector = collector
        known: dict[str, Renderer] = dict(foreign_renderers(config))
        known.update(RENDERERS)
        self._files: list[tuple[Path, Renderer]] = []
        problems: list[str] = []
        where = settings.where("output")
        for output in settings.output:
            renderer = known.get(output.format)
            path = Path(output.path).absolute()
            problem = check_writable(path)
            if renderer is None:
                formats = ", ".join(sorted(known))
                problems.append(f"{where}: {output.format!r} is not one of {formats}")
            elif problem:
                problems.append(f"{where}: cannot write {output.path}: {problem}")
            else:
                self._files.append((path, renderer))
        if problems:
            raise usage_error(problems)

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Write the files."""
        if not self._collector.worth_writing(session):
            return
        for path, renderer in self._files:
            try:
                text = renderer.render(self._collector.run())
            except Exception as error:  # noqa: BLE001  another's code may raise anything
                problem = f"its renderer raised {type(error).__name__}: {error}"
                self._collector.not_written(session, one_line(f"{path}: {problem}"))
            else:
                self._collector.write(session, path, text, renderer.name)
