"""Finds the highest sum of what the processes of a run use, in a thread of the first."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from pytest_memguard.sizes import MIB

if TYPE_CHECKING:
    from pytest_memguard.probes.tree_linux import LinuxTree
    from pytest_memguard.probes.tree_psutil import PsutilTree

INTERVAL_SECONDS: Final = 0.1
_SHARE_OF_TIME: Final = 30
"""So many times as long as a sample took, there is no other one."""
_WORTH: Final = 1.02
"""What the rough sum has to rise by before the exact one is read, which takes longer."""


class HighestSum:
    """Samples a process and its descendants until it is stopped.

    The thread is one of the process that starts the workers, in which no test runs.

    Args:
        root: number of the first process.
        beside: called with each sample; it may use what no other thread does.

    Attributes:
        highest: the highest sum in bytes.
        problem: why there is none.
    """

    def __init__(self, root: int, beside: Callable[[], None]) -> None:
        self.highest = 0
        self.problem = ""
        self._root = root
        self._beside = beside
        self._rough = 0
        self._ends = threading.Event()
        self._thread = threading.Thread(
            target=self._sample_all, name="memguard-highest-sum", daemon=True
        )
        self._thread.start()

    @property
    def kind(self) -> str:
        """What the sum is."""
        return "PSS" if sys.platform == "linux" else "RSS"

    def stop(self) -> None:
        """Take no more samples."""
        self._ends.set()
        self._thread.join(timeout=10)

    def _sample_all(self) -> None:
        try:
            tree = self._open()
        except OSError as error:
            self.problem = f"the processes cannot be read ({error.strerror})"
            return
        wait = 0.0  # a short run has a first sample as well
        while not self._ends.wait(wait) or not self.highest:
            start = time.thread_time()
            try:
                self._sample(tree)
            except OSError as error:
                self.problem = f"the processes can no longer be read ({error.strerror})"
                break
            self._beside()
            wait = max(INTERVAL_SECONDS, _SHARE_OF_TIME * (time.thread_time() - start))
        tree.close()

    def _open(self) -> LinuxTree | PsutilTree:
        if sys.platform != "linux":
            from pytest_memguard.probes.tree_psutil import PsutilTree

            return PsutilTree(self._root)
        from pytest_memguard.probes.tree_linux import LinuxTree

        return LinuxTree(self._root)

    def _sample(self, tree: LinuxTree | PsutilTree) -> None:
        rough = tree.sample(exact=False)
        if sys.platform != "linux":
            self.highest = max(self.highest, rough.most)
        elif rough.least > self._rough * _WORTH + MIB:
            self._rough = rough.least
            self.highest = max(self.highest, tree.sample(exact=True).least)
