"""The process that watches when a whole run reaches levels of ``mem_alert``."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence

from pytest_memguard.codecs.abort_codecs import BREACH_CODEC
from pytest_memguard.model.aborts import Breach
from pytest_memguard.probes.run_watcher import (
    RunWatcher,
    Tree,
    pauses_between,
    tree_of_run,
    wait_seconds,
    write_line,
)
from pytest_memguard.probes.separate_child import leave_parent


def watch_levels(
    tree: Tree,
    sizes: Sequence[int],
    report: Callable[[Breach], None],
    pauses: Callable[[float], Iterator[bytes]],
) -> None:
    """Report each level that a run reaches, until it has reached all of them.

    Args:
        tree: the processes of the run.
        sizes: the levels in bytes, the lowest first.
        report: takes the moment; a level below it that was not reported is passed over.
        pauses: waits for some seconds.

    Raises:
        OSError: if the run has ended.
    """
    left = list(sizes)
    while left:
        # one byte less: a level is reached, not passed
        watcher = RunWatcher(tree, left[0] - 1)
        reading = watcher.read()
        while reading.room >= 0:
            for _ in pauses(wait_seconds(reading.room)):
                pass
            reading = watcher.read()
        report(watcher.breach(reading))
        left = [size for size in left if size > reading.used]


def main(root: int, sizes: Sequence[int]) -> None:  # pragma: no cover  in its own process
    """Watch a run.

    Args:
        root: number of its first process.
        sizes: the levels in bytes, the lowest first.
    """
    leave_parent()

    def report(breach: Breach) -> None:
        write_line(json.dumps(BREACH_CODEC.write(breach)))

    tree = tree_of_run(root)
    write_line("ready")
    try:
        watch_levels(tree, sizes, report, pauses_between)
    except OSError:
        os._exit(0)
