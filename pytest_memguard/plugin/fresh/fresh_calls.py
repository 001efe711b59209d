"""What runs in a fresh process, in a child for each question: two calls of a test, or lines."""

from __future__ import annotations

import gc
import importlib
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final

from pytest_memguard.allocator.free_lists import freeze
from pytest_memguard.codecs.measurement_codecs import FILLS_CODEC, SITE_CODEC
from pytest_memguard.model.metrics import RSS
from pytest_memguard.plugin.fresh.measured_again import call_peak, passed
from pytest_memguard.plugin.loaded_libraries import libraries_of
from pytest_memguard.plugin.pytest_internals.running import detach

if TYPE_CHECKING:
    import pytest

    from pytest_memguard.plugin.fresh.rerun import Rerun


def make_ready(rerun: Rerun, loaded: Iterable[str], *, is_first: bool) -> None:
    """In the process that forks these children: do what each of them would do.

    Modules are loaded here, so that a hundred children need not load them; and little of the
    heap is left for them to traverse.

    Args:
        rerun: runs tests there.
        loaded: modules that are loaded in the process that asks.
        is_first: whether this is the first question.
    """
    if load(loaded) or is_first:
        gc.collect()
        freeze()
        rerun.take_slack()


def answer(
    rerun: Rerun,
    item: pytest.Item,
    *,
    metric: str = RSS.name,
    enough: int | None = None,
    explained: Sequence[Sequence[int]] = (),
    foreign: bool = False,
    names_fills: bool = False,
    others: Sequence[pytest.Item] = (),
    traced_call: int = 0,
) -> Any:
    """Run a test as a request says.

    Args:
        rerun: runs it.
        item: the test.
        metric: what is measured beside resident memory.
        enough: bytes of a peak up to which one call will do; ``None`` for two in any case.
        explained: other peaks for which it will do, each as the least and the most bytes.
        foreign: whether slack of allocators of extensions counts.
        names_fills: whether to call it once, and name what holds what that leaves.
        others: tests that are called after it then.
        traced_call: the call whose lines are wanted; 0 for the peaks of both.
    """
    detach(item.config)
    if traced_call:
        return list(map(SITE_CODEC.write, rerun.lines(item, traced_call)))
    if names_fills:
        failed: list[str] = []
        fills = _fills_of(lambda: failed.extend(rerun.unmeasured((item, *others))))
        return {"fills": fills, "failed": failed}
    gc.collect()
    freeze()  # the collections of the test need not traverse what was there before
    before = set(sys.modules)
    cold = rerun.alone(item, metric, foreign=foreign)
    libraries = sorted(libraries_of(sys.modules.keys() - before))
    gc.collect()
    once = passed(cold)
    peak = call_peak(once) if once is not None else None
    is_enough = peak is not None and (
        (enough is not None and peak.high <= enough)
        or any(least <= peak.value <= most for least, most in explained)
    )
    again = once is not None and not is_enough
    warm = rerun.alone(item, metric, foreign=foreign) if again else None
    return {
        "cold": cold,
        "warm": warm,
        "is_enough": is_enough,
        "fills": [],
        "libraries": libraries,
    }


def load(names: Iterable[str]) -> bool:
    """Import modules that another process has; those that are made otherwise stay away.

    Args:
        names: of the modules.

    Returns:
        Whether there were any that this process did not have.
    """
    missing = [name for name in names if name not in sys.modules and name not in _NOT_MODULES]
    for name in missing:
        try:
            importlib.import_module(name)
        except (Exception, SystemExit):  # noqa: BLE001  whatever its code raises
            _NOT_MODULES.add(name)
    return bool(missing)


_NOT_MODULES: Final[set[str]] = set()
"""Names that could not be imported: they are not tried before each question."""


def _fills_of(call: Callable[[], object]) -> Any:
    """What holds what a call has left."""
    from pytest_memguard.attribution.fills import fills, large_values

    gc.unfreeze()  # what a conftest has frozen is found after the call as well
    before = large_values()
    gc.freeze()  # what the collector tracks after the call is new
    call()
    gc.collect()
    return FILLS_CODEC.write(fills(before))
