"""The hooks by which other plugins add to this one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_memguard.extension import Check, Renderer
    from pytest_memguard.probes import Meter


@pytest.hookspec
def pytest_memguard_probes(config: pytest.Config) -> Sequence[Meter]:  # type: ignore[empty-body]
    """Return probes, each of which measures one more metric.

    Args:
        config: the configuration of pytest.
    """


@pytest.hookspec
def pytest_memguard_checks(config: pytest.Config) -> Sequence[Check]:  # type: ignore[empty-body]
    """Return checks, each of which is one more reason to fail a test.

    Args:
        config: the configuration of pytest.
    """


@pytest.hookspec
def pytest_memguard_renderers(config: pytest.Config) -> Sequence[Renderer]:  # type: ignore[empty-body]
    """Return renderers, each of which writes a run in one more format.

    Args:
        config: the configuration of pytest.
    """
