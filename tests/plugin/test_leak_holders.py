"""Holders that are hard to find: weak keys held by their values, owners referred back to."""

from __future__ import annotations

import pytest

from tests.plugin.leaky import JSON

WEAK_KEY = """
    import traceback, weakref

    class Orders:
        BAD = weakref.WeakKeyDictionary()

    LOST = []

    def test_it():
        class Made:
            pass

        made = Made()
        Orders.BAD[made] = {value}
"""
BACK = """
    class Transaction:
        def __init__(self):
            self.resources = []

    class Manager:
        def __init__(self):
            self.transaction = Transaction()

    MANAGER = Manager()
    LOST = []

    class Resource:
        def __init__(self):
            self.transaction = MANAGER.transaction
            MANAGER.transaction.resources.append(self)

    def test_it():
        Resource()
"""
LOCAL = BACK.replace("MANAGER = Manager()", "MANAGER = Local()").replace(
    "    class Manager:", "    import threading\n\n    class Local(threading.local):"
)
FIRST = """
    def test_first():
        LOST.append({1: [2]})
"""
AND_MORE = """        LOST.append([])
"""


@pytest.mark.parametrize(
    ("source", "holder", "remark"),
    [
        pytest.param(
            WEAK_KEY.replace("{value}", "(made,)"),
            "Orders.BAD",
            "held by the value of its own weak key",
            id="weak-key-of-a-class",
        ),
        pytest.param(
            WEAK_KEY.replace("{value}", "(made, traceback.format_stack())"),
            "Orders.BAD",
            "held by the value of its own weak key",
            id="weak-key-with-text",
        ),
        pytest.param(BACK, "MANAGER.transaction.resources", "", id="refers-back"),
        pytest.param(LOCAL, "MANAGER.transaction.resources", "", id="thread-local"),
    ],
)
@pytest.mark.parametrize("before", ["", FIRST], ids=["alone", "after-another"])
def test_one_leak(run, written, source, holder, remark, before):
    """One leak is named once, by what holds it, whatever leaked before it."""
    text = source.replace("    def test_it", f"{before}\n    def test_it")
    run(text, "--mem-leak-check", "--mem-leak-calls=120", JSON)
    leak = written()["test_it"]["leak"]
    path = leak["blame"]["path"]
    assert (f"test_it.{holder}", remark) == (path["holder"], path["remark"])
    assert not leak.get("more")


def test_weak_key_beside_another_leak(run, written):
    """Weak references to classes, which go with them, hide neither of two holders."""
    text = WEAK_KEY.replace("{value}", "(made,)") + AND_MORE
    run(text, "--mem-leak-check", "--mem-leak-calls=120", JSON)
    leak = written()["test_it"]["leak"]
    paths = [leak["blame"]["path"], *(part["blame"]["path"] for part in leak["more"])]
    assert {path["holder"] for path in paths} == {"test_it.Orders.BAD", "test_it.LOST"}


def test_several_holders_of_one_leak(run, written):
    """Further holders are named: emptying the one that is named would free nothing."""
    source = """
        class Registry:
            def __init__(self):
                self.by_name = {}
                self.order = []

        class Node:
            pass

        REGISTRY = Registry()
        ONLY = []

        def test_two():
            node = Node()
            REGISTRY.by_name[str(id(node))] = node
            REGISTRY.order.append(node)

        def test_one():
            ONLY.append([Node()])
    """
    flags = ("--mem-leak-check", "--mem-leak-calls=120", JSON, "-p", "no:randomly")
    run(source, *flags).assert_outcomes(failed=2)
    tests = written()
    two, one = (tests[name]["leak"]["blame"] for name in ("test_two", "test_one"))
    assert two["path"]["holder"] == "test_it.REGISTRY.by_name"
    assert two["notes"] == [
        "it is also held by test_it.REGISTRY.order: each of its holders has to let go of it"
    ]
    assert one["path"]["holder"] == "test_it.ONLY"
    assert one["notes"] == []
