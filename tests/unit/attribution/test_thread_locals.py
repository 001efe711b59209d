"""Tests of what a `threading.local` holds, of the one in C and of the one in Python."""

from __future__ import annotations

import pytest

from tests.support.fresh_process import fresh
from tests.unit.attribution import leaking
from tests.unit.attribution.leaking import NAME
from tests.unit.attribution.searches import found_in

KINDS = ["threading", "_threading_local"]
SUBCLASS = """
import _threading_local
class Transaction:
    def __init__(self): self.resources = []
class Manager:
    def __init__(self): self.transaction = Transaction()
class Local({}.local):
    def __init__(self): self.manager = Manager()
LOCAL = Local()
class Resource: pass
def leak(n): LOCAL.manager.transaction.resources.append(Resource())
"""
REFERS_BACK = SUBCLASS.replace(
    "class Resource: pass",
    "class Resource:\n"
    "    def __init__(self): self.local, self.manager = LOCAL, LOCAL.manager\n",
)
WITH_SLOTS = """
import _threading_local
class Local({}.local):
    __slots__ = ("rows",)
LOCAL = Local()
LOCAL.rows = []
def leak(n): LOCAL.rows.append(Request())
"""
OF_CLASS = """
import _threading_local
class Registry:
    state = {}.local()
    @classmethod
    def add(cls, row):
        if not hasattr(cls.state, "stack"): cls.state.stack = []
        cls.state.stack.append(row)
def leak(n): Registry.add(Request())
"""
IN_CLOSURE = """
import _threading_local
def make():
    state = {}.local()
    state.seen = {{}}
    def add(n): state.seen[n] = Request()
    return add
leak = make()
"""
NAMES = """
import _threading_local
STATE = {}.local()
def leak(n): setattr(STATE, f"row_{{n}}", Request())
"""
OF_THREAD = """
def leak(n):
    ASKED.put(n)
    ANSWERED.get()
ASKED, ANSWERED = queue.Queue(), queue.Queue()
def work():
    while True:
        {}
        ANSWERED.put(n)
threading.Thread(target=work, daemon=True).start()
"""
OTHER_THREAD = REFERS_BACK.replace("def leak", "def use") + OF_THREAD.format(
    "n = ASKED.get(); use(n)"
)
BESIDE = OF_THREAD.replace("def leak(n):\n", "def leak(n):\n    use(n)\n").format(
    "n = ASKED.get(); LOCAL.manager"
)
TWO_THREADS = REFERS_BACK.replace("def leak", "def use") + BESIDE
ELSEWHERE = (
    OTHER_THREAD.replace("LOCAL = Local()\n", "MADE = []\n")
    .replace("self.manager = Manager()\n", "MADE.append(1); self.manager = Manager()\n")
    .replace("def work():\n", "def work():\n    global LOCAL\n    LOCAL = Local()\n")
)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("source", "holder"),
    [
        pytest.param(SUBCLASS, ".LOCAL.manager.transaction.resources", id="subclass"),
        pytest.param(REFERS_BACK, ".LOCAL.manager.transaction.resources", id="refers-back"),
        pytest.param(OTHER_THREAD, ".LOCAL.manager.transaction.resources", id="other-thread"),
        pytest.param(TWO_THREADS, ".LOCAL.manager.transaction.resources", id="two-threads"),
        pytest.param(WITH_SLOTS, ".LOCAL.rows", id="slots"),
        pytest.param(OF_CLASS, ".Registry.state.stack", id="class-attribute"),
        pytest.param(IN_CLOSURE, ".leak, closure variable state.seen", id="closure"),
        pytest.param(NAMES, ".STATE", id="names"),
    ],
)
def test_holder(source, holder, kind):
    """The part that one thread sees of a local is named like any attribute."""
    found = found_in(source.format(kind), calls=100)
    assert (f"{NAME}{holder}", ()) == (found.path.holder, found.notes)


@pytest.mark.parametrize("kind", KINDS)
def test_steps(kind):
    """The steps name the local and the thread's attribute, however either is stored."""
    assert found_in(TWO_THREADS.format(kind), calls=100).path.steps == (
        f"module {NAME}",
        f"LOCAL ({NAME}.Local)",
        f".manager of one thread ({NAME}.Manager)",
        f".transaction ({NAME}.Transaction)",
        ".resources (list, 101 items)",
        "[100]",
        f"{NAME}.Resource",
    )


def _holder_and_runs(source: str) -> tuple[str, int]:
    with leaking.module(source) as made:
        found = leaking.found_after(made, calls=100)
        assert found.path is not None
        return (found.path.holder, len(made.MADE))


@pytest.mark.parametrize("kind", KINDS)
def test_runs_no_code(kind):
    """A thread that has not used it is not made to: that would run its ``__init__``."""
    holder, runs = fresh(_holder_and_runs, ELSEWHERE.format(kind))
    assert (f"{NAME}.LOCAL.manager.transaction.resources", 1) == (holder, runs)
