"""Decides whether a run has hard budgets; where it has none, nothing else is loaded."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from pytest_memguard.model.results import Gap

if TYPE_CHECKING:
    import pytest

    from pytest_memguard.checks.planned import TestPlan
    from pytest_memguard.options.settings import Settings
    from pytest_memguard.plugin.items import ItemHooks


def begin(
    config: pytest.Config,
    settings: Settings,
    items: ItemHooks,
    plans: Iterable[TestPlan],
    used: set[str],
) -> None:
    """Hold tests to their hard budgets, if they have any.

    Args:
        config: the configuration of pytest.
        settings: the settings of the run.
        items: measures tests.
        plans: of all tests that have one.
        used: which of our names the suite uses.
    """
    budgets = {budget for plan in plans for budget in plan.requirements.hard}
    may_have_stages = settings.hard and not used.isdisjoint({"stage", "memguard"})
    gaps = items.instruments.gaps
    if not (budgets or may_have_stages):
        if settings.hard:
            reason = "no test has a budget on peak RSS that could be a hard one"
            gaps.append(Gap(subject=settings.where("hard"), reason=reason))
        return
    if settings.mode == "warn":
        reason = f"breaches only warn ({settings.where('mode')}), so no test is stopped"
        gaps.append(Gap(subject="hard budgets", reason=reason))
        return
    from pytest_memguard.plugin.hard.hard_hooks import HardHooks

    of_call = all(budget.phase == "call" and budget.stage is None for budget in budgets)
    hooks = HardHooks(
        config,
        items,
        of_call_alone=of_call and not may_have_stages,
        all_hard=settings.hard,
    )
    config.pluginmanager.register(hooks, "memguard-hard")
