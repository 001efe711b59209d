"""Gives each worker of pytest-xdist its flight record, and notices that one is lost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pytest

from pytest_memguard.plugin.lost.flight_folder import make_folder
from pytest_memguard.plugin.options import given, settings_of
from pytest_memguard.probes.oom_kills import read_oom_counter

if TYPE_CHECKING:  # most runs lose no worker
    from pytest_memguard.plugin.lost.lost_nodes import LostNodes

WORKER_RECORD: Final = "memguard_flight_record"
"""Name under which a worker gets the path of its record."""
_PLUGIN: Final = "memguard-flight-control"


def control_of(config: pytest.Config) -> FlightControl | None:
    """Return what watches the workers of this run; ``None`` if they keep no flight records.

    Args:
        config: pytest's, of the process that starts the workers.
    """
    manager = config.pluginmanager
    control: FlightControl | None = manager.get_plugin(_PLUGIN)
    if control is None and _is_wanted(config):
        control = FlightControl(config)
        manager.register(control, _PLUGIN)
    return control


def _is_wanted(config: pytest.Config) -> bool:
    if not given(config):
        return True
    settings = settings_of(config)
    return settings.flight_record != "off" and not settings.off


class FlightControl:
    """Gives each worker its record, and hands over those that are lost.

    Args:
        config: pytest's, of the process that starts the workers.
    """

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._folder, self._reason = make_folder(config)
        self._oom_kills = read_oom_counter().kills
        self._nodes: dict[str, Any] = {}
        self._lost: LostNodes | None = None

    def prepare(self, node: Any) -> None:
        """Send a new worker the place of its record.

        Args:
            node: xdist's controller of the worker.
        """
        self._nodes[node.gateway.id] = node
        if self._folder is not None and node.gateway.spec.popen:
            node.workerinput[WORKER_RECORD] = str(self._folder.record(node.gateway.id))

    @pytest.hookimpl(optionalhook=True, tryfirst=True)
    def pytest_testnodedown(self, node: Any, error: object) -> None:
        """Hand over a worker that did not end by itself."""
        self._nodes.pop(node.gateway.id, None)
        if not error or hasattr(node, "workeroutput"):
            return
        if self._lost is None:
            from pytest_memguard.plugin.lost.lost_nodes import LostNodes

            self._lost = LostNodes(self._config, self._folder, self._reason, self._oom_kills)
            self._config.pluginmanager.register(self._lost, "memguard-lost-nodes")
        self._lost.add(node, error, self._nodes)

    @pytest.hookimpl(trylast=True)
    def pytest_unconfigure(self) -> None:
        """Remove the records, unless a worker was lost."""
        keep = self._lost is not None and self._lost.close()
        if self._folder is not None:
            self._folder.close(keep=keep)
