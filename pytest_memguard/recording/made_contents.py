"""Finds where the contents of containers were made, from more calls."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Final

from pytest_memguard.attribution.leak_lines import (
    with_function,
)
from pytest_memguard.attribution.origins import (
    Origin,
    Origins,
    with_functions,
    without_moved,
    without_replaced,
)
from pytest_memguard.attribution.retention import stack_frames
from pytest_memguard.attribution.values import is_value
from pytest_memguard.probes.function_names import Functions
from pytest_memguard.probes.python_blocks import on_short_stack
from pytest_memguard.probes.surviving_blocks import frames

if TYPE_CHECKING:
    from pytest_memguard.recording.causes import Cause

_BEFORE: Final = 4
"""One call is made for so many calls, before which nothing counts as what they have made."""


def origins_of(
    causes: Sequence[Cause], call: Callable[[], None], collect: Callable[[], None]
) -> list[list[Origin]]:
    """Return where the contents of containers were made, from as many more calls.

    Args:
        causes: the holders of the contents.
        call: makes one call.
        collect: collects garbage, if it is to be collected.

    Raises:
        CallFailed: if a call failed.
    """
    none: list[list[Origin]] = [[] for _ in causes]
    if tracemalloc.is_tracing() or all(
        cause.holding.growing_container is None for cause in causes
    ):
        return none
    containers = [cause.holding.growing_container for cause in causes]
    gc.freeze()
    origins = Origins(frames)
    try:
        before, after = (
            _made_by(call, times, collect, origins, containers)
            for times in (max(1, causes[0].calls // _BEFORE), causes[0].calls)
        )
    finally:
        origins.stop()
    made = list(map(without_replaced, before, after))
    made = [
        without_moved(one, cause.calls) if is_value(container) else one
        for one, container, cause in zip(made, containers, causes, strict=True)
    ]
    functions = Functions()
    return [
        with_functions(one, lambda stack: with_function(stack, functions.name)) for one in made
    ]


def _made_by(
    call: Callable[[], None],
    times: int,
    collect: Callable[[], None],
    origins: Origins,
    containers: Sequence[object],
) -> list[list[Origin]]:
    for _ in range(times):
        call()
    collect()
    return on_short_stack(partial(origins.of, containers, stack_frames()))
