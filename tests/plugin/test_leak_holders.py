"""Holders that are hard to find: weak keys held by their values, owners referred back to."""

from __future__ import annotations

from textwrap import dedent

import pytest

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
    LOST = []

    def test_first():
        LOST.append({1: [2]})
"""
AND_MORE = """        LOST.append([])
"""


OWN_VALUE = "held by the value of its own weak key"
LEAKS = {
    "weak_key_of_a_class": (WEAK_KEY.replace("{value}", "(made,)"), "Orders.BAD", OWN_VALUE),
    "weak_key_with_text": (
        WEAK_KEY.replace("{value}", "(made, traceback.format_stack())"),
        "Orders.BAD",
        OWN_VALUE,
    ),
    "refers_back": (BACK, "MANAGER.transaction.resources", ""),
    "thread_local": (LOCAL, "MANAGER.transaction.resources", ""),
}


@pytest.mark.parametrize("name", LEAKS)
def test_one_leak(leaks, name):
    """One leak is named once, by what holds it."""
    source, holder, remark = LEAKS[name]
    leak = leaks(source)["test_it"]["leak"]
    path = leak["blame"]["path"]
    assert (f"test_it.{holder}", remark) == (path["holder"], path["remark"])
    assert not leak.get("more")


def test_one_leak_after_others(tmp_path, leaks):
    """It is named by the same holder after others, in one process."""
    imports = []
    for name, (source, _, _) in LEAKS.items():
        (tmp_path / f"with_{name}.py").write_text(dedent(source))
        imports.append(f"from with_{name} import test_it as test_{name}\n")
    tests = leaks(dedent(FIRST) + "".join(imports))
    assert list(tests) == ["test_first", *(f"test_{name}" for name in LEAKS)]
    for name, (_, holder, remark) in LEAKS.items():
        leak = tests[f"test_{name}"]["leak"]
        path = leak["blame"]["path"]
        assert (f"with_{name}.{holder}", remark) == (path["holder"], path["remark"])
        assert not leak.get("more")


def test_weak_key_beside_another_leak(leaks):
    """Weak references to classes, which go with them, hide neither of two holders."""
    text = WEAK_KEY.replace("{value}", "(made,)") + AND_MORE
    leak = leaks(text)["test_it"]["leak"]
    paths = [leak["blame"]["path"], *(part["blame"]["path"] for part in leak["more"])]
    assert {path["holder"] for path in paths} == {"test_it.Orders.BAD", "test_it.LOST"}


def test_several_holders_of_one_leak(leaks):
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
    tests = leaks(source)
    two, one = (tests[name]["leak"]["blame"] for name in ("test_two", "test_one"))
    assert two["path"]["holder"] == "test_it.REGISTRY.by_name"
    assert two["notes"] == [
        "it is also held by test_it.REGISTRY.order: each of its holders has to let go of it"
    ]
    assert one["path"]["holder"] == "test_it.ONLY"
    assert one["notes"] == []


def test_many_holders_of_one_leak(leaks):
    """Some of them are named, and the rest are counted."""
    source = """
        A, B, C, D = [], {}, [], set()

        class Node:
            pass

        def test_it():
            nodes = tuple(Node() for _ in range(20))
            A.append(nodes)
            B[len(B)] = nodes
            C.append(nodes)
            D.add(nodes)
    """
    (note,) = leaks(source)["test_it"]["leak"]["blame"]["notes"]
    assert note.endswith(" and 1 more: each of its holders has to let go of it")


def test_a_second_holder_that_each_call_replaces(leaks):
    """A tuple that grows by replacement holds all of it; a variable only what is the latest."""
    source = """
        REGISTRATIONS, ADAPTERS, LIST, LATEST = [], {"handlers": ()}, [], None

        class Handler:
            def __init__(self):
                self.items = [[], {}, set()]

        class Registration:
            def __init__(self, handler):
                self.handler = handler

        def test_two():
            handler = Handler()
            REGISTRATIONS.append(Registration(handler))
            ADAPTERS["handlers"] += (handler,)

        def test_one():
            global LATEST
            LATEST = Handler()
            LIST.append(Registration(LATEST))
    """
    tests = leaks(source)
    notes = {name: test["leak"]["blame"]["notes"] for name, test in tests.items()}
    assert notes == {
        "test_two": [
            "it is also held by test_it.ADAPTERS: each of its holders has to let go of it"
        ],
        "test_one": [],
    }
