"""Tests of what holds new objects that all refer back to its owner, or to each other."""

from __future__ import annotations

import pytest

from tests.unit.attribution.leaking import NAME
from tests.unit.attribution.searches import found_in

SESSION = """
class Session:
    def __init__(self): self.new = []
class Manager:
    def __init__(self): self.session = Session()
MANAGER = Manager()
class Row:
    def __init__(self, session):
        self.session = session
        {more}
        session.new.append(self)
def leak(n): Row(MANAGER.session)
"""
PLAIN = SESSION.format(more="pass")
WITH_DICT = SESSION.format(more="vars(self)")
OLD = "OLD = [Row(MANAGER.session) for _ in range(3000)]\n"
BUS = """
class Bus:
    def __init__(self): self.handlers = {}
    def on(self, kind, handler): self.handlers[kind] = handler
class App:
    def __init__(self): self.bus = Bus()
APP = App()
class View:
    def __init__(self, n):
        self.bus, self.off = APP.bus, APP.bus.on
        APP.bus.on(n, self.show)
    def show(self): pass
def leak(n): View(n)
"""
TREE = """
class Node:
    def __init__(self, parent=None):
        self.parent, self.root, self.children = parent, parent.root if parent else self, []
        if parent is not None: parent.children.append(self)
class App:
    tree = Node()
for _ in range(5): Node(App.tree)
for _ in range(50): Node(App.tree.children[3])
def leak(n): Node(App.tree.children[3].children[4])
"""
CLASSES = """
class Registry:
    def __init__(self): self.kinds = []
class App:
    def __init__(self): self.registry = Registry()
APP = App()
def leak(n): APP.registry.kinds.append(type(f'K{n}', (), {'registry': APP.registry}))
"""
BOTH = """
class Hub:
    def __init__(self, app): self.app, self.rows = app, []
class Client:
    def __init__(self, hub): self.hub = hub
class Inner:
    def __init__(self, app): self.hub = Hub(app)
class App:
    def __init__(self):
        self.inner = Inner(self)
        self.many = [Client(self.inner.hub) for _ in range(3000)]
APP = App()
def leak(n): APP.inner.hub.rows.append(Client(APP.inner.hub))
"""
NEARER = """
class Hub:
    def __init__(self): self.rows = []
class Part:
    def __init__(self, part): self.part = part
class Client:
    def __init__(self, hub): self.hub = hub
APP = Part(Part(Part(Hub())))
CLIENTS = [Client(APP.part.part.part) for _ in range(100)]
def leak(n): APP.part.part.part.rows.append(Client(APP.part.part.part))
"""
CROWD = """
class Hub:
    def __init__(self): self.rows = []
class Client:
    def __init__(self): self.hub = HUB
HUB = Hub()
CLIENTS = [Client() for _ in range(3000)]
del HUB
def leak(n): CLIENTS[0].hub.rows.append([n])
"""
FEW = """
class Hub:
    def __init__(self): self.rows = []
class Client:
    def __init__(self, hub): self.hub = hub
CLIENTS = [Client(Hub()) for _ in range(3)]
def leak(n): CLIENTS[1].hub.rows.append(Client(CLIENTS[1].hub))
"""
LINKED = """
class Node:
    def __init__(self, before):
        self.before, self.after = before, None
        if before is not None: before.after = self
class Chain:
    newest = None
CHAIN = Chain()
def leak(n): CHAIN.newest = Node(CHAIN.newest)
"""


@pytest.mark.parametrize(
    ("source", "holder"),
    [
        pytest.param(PLAIN, ".MANAGER.session.new", id="session"),
        pytest.param(WITH_DICT, ".MANAGER.session.new", id="rows-with-dict"),
        pytest.param(PLAIN + OLD, ".MANAGER.session.new", id="old-rows"),
        pytest.param(WITH_DICT + OLD, ".MANAGER.session.new", id="old-rows-with-dict"),
        pytest.param(
            SESSION.format(more="self.all = [session, session.new]"),
            ".MANAGER.session.new",
            id="to-the-list-itself",
        ),
        pytest.param(
            SESSION.format(more="self.get = lambda: session.new"),
            ".MANAGER.session.new",
            id="closures",
        ),
        pytest.param(BUS, ".APP.bus.handlers", id="bound-methods"),
        pytest.param(TREE, ".App.tree.children[...].children[...].children", id="tree"),
        pytest.param(CLASSES, ".APP.registry.kinds", id="classes"),
        pytest.param(BOTH, ".APP.inner.hub.rows", id="owner-of-the-many-too"),
        pytest.param(NEARER, ".APP.part.part.part.rows", id="many-are-nearer-to-a-module"),
        pytest.param(CROWD, ".CLIENTS[...].hub.rows", id="nothing-but-the-many"),
        pytest.param(FEW, ".CLIENTS[...].hub.rows", id="few-holders"),
        pytest.param(LINKED, ".CHAIN.newest", id="linked-both-ways"),
    ],
)
def test_holder(source, holder):
    """New objects that refer back to the owner of what holds them do not hide it."""
    found = found_in(source, calls=1000)
    assert (f"{NAME}{holder}", ()) == (found.path.holder, found.notes)


def test_nothing_leads_to_the_new_objects():
    """An old object that refers to one new object alone is not what holds the others."""
    found = found_in(
        "count = ctypes.pythonapi.Py_IncRef\ncount.argtypes = [ctypes.py_object]\n"
        "class Pair:\n  def __init__(self): self.other = [self]\n"
        "KEPT = {}\ndef leak(n):\n  pair = Pair()\n  count(pair)\n"
        "  if n == 30: KEPT[n] = pair",
        calls=200,
    )
    assert found.path is None
    assert f"{NAME}.Pair" in {growth.type for growth in found.types}
