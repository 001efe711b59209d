"""Tests of what holds new objects: real leaks, and the words for them."""

from __future__ import annotations

import time

import pytest

from pytest_memguard.attribution.retention import Search
from tests.unit.attribution.leaking import NAME, module
from tests.unit.attribution.searches import found_in, holders_in

BOUNDED_DICT = """
class Bounded(dict):
    def __init__(self): self.maxsize = {bound}
CACHE = Bounded()
def leak(n): CACHE[n] = Request()
"""
OWNER = """
class Cache:
    def __init__(self):
        self.__maxsize = {bound}
        self.__data = {{}}
    def put(self, key, value): self.__data[key] = value
CACHE = Cache()
def leak(n): CACHE.put(n, Request())
"""
BUSY_OWNER = """
class Server:
    def __init__(self):
        self.capacity, self.workers, self.log = 5000, [1, 2, 3], []
    def handle(self, request): self.log.append(request)
SERVER = Server()
def leak(n): SERVER.handle(Request())
"""
LIMIT = OWNER.replace("__maxsize", "limit")
LRU = """
@functools.lru_cache(maxsize={bound})
def load(n): return Request()
def leak(n): load(n)
"""
DEQUE = """
RECENT = collections.deque(maxlen={bound})
def leak(n): RECENT.append(Request())
"""
CLOSURE = """
def make():
    seen = []
    def count(n): seen.append(Request())
    return count
leak = make()
"""
GENERATOR = """
def collect():
    found = []
    while True:
        n = yield
        found.append(Request())
RUNNING = collect()
next(RUNNING)
def leak(n): RUNNING.send(n)
"""
KEPT_GENERATORS = """
KEPT = []
def rows():
    row = Request()
    yield row
    yield row
def leak(n):
    made = rows()
    next(made)
    KEPT.append(made)
"""
WEAK = """
CACHE = weakref.WeakKeyDictionary()
class Wrapper: pass
def leak(n):
    request, wrapper = Request(), Wrapper()
    wrapper.inner = request
    CACHE[request] = wrapper
"""
WEAK_CLOSURE = """
def make():
    cache = weakref.WeakKeyDictionary()
    def get(key): cache[key] = [key]
    return get
_get = make()
def leak(n): _get(Request())
"""
SLOTS = """
class Store:
    __slots__ = ("rows",)
STORE = Store()
STORE.rows = []
def leak(n): STORE.rows.append(Request())
"""
LINKED = """
class Node:
    def __init__(self, previous): self.previous = previous
HEAD = None
def leak(n):
    global HEAD
    HEAD = Node(HEAD)
"""
OTHER_THREAD = """
ready, end, made = threading.Event(), threading.Event(), []
class Rows(list): pass
def work():
    rows = Rows()
    made.append(weakref.ref(rows))
    ready.set()
    end.wait()
threading.Thread(target=work, name="worker-1", daemon=True).start()
ready.wait()
def leak(n): made[0]().append(Request())
"""

ERROR = """
ERROR = ValueError("no")
def leak(n):
    try: raise ERROR
    except ValueError: pass
"""
SIGNAL = """
import signal
class Handler:
    def __init__(self): self.before = signal.getsignal(signal.SIGUSR2)
    def __call__(self, number, frame): pass
def leak(n): signal.signal(signal.SIGUSR2, Handler())
"""
REPLACED_HANDLER = """
import atexit, signal
class Manager:
    def __init__(self): self.requests = [Request()]
    def handle(self, number, frame): pass
    def stop(self): pass
def leak(n):
    manager = Manager()
    atexit.register(manager.stop)
    signal.signal(signal.SIGUSR2, manager.handle)
"""
MANY_HOLDERS = """
class Manager:
    def __init__(self): self.kept = {}
class Logger:
    manager = Manager()
    def __init__(self): self.manager, self.rows = Logger.manager, [1]
MANY = [Logger() for _ in range(500)]
def leak(n): Logger.manager.kept[n] = Logger()
"""
HOLDERS = [
    pytest.param("R = {}\ndef leak(n): R[f'k{n}'] = Request()", ".R", id="dict-of-instances"),
    pytest.param("L = []\ndef leak(n): L.append(b'x' * 99)", ".L", id="list-of-bytes"),
    pytest.param("S = set()\ndef leak(n): S.add(10**9 + n)", ".S", id="set-of-ints"),
    pytest.param("D = {}\ndef leak(n): D[f'k{n}'] = f'v{n}'", ".D", id="dict-of-texts"),
    pytest.param(
        "class Model: registry = []\ndef leak(n): Model.registry.append(Request())",
        ".Model.registry",
        id="class-attribute",
    ),
    pytest.param(CLOSURE, ".leak, closure variable seen", id="closure"),
    pytest.param(
        "def leak(n, kept=[]): kept.append(Request())", ".leak, default of kept", id="default"
    ),
    pytest.param(
        "def leak(n, *, kept=[]): kept.append(Request())",
        ".leak, default of kept",
        id="keyword-default",
    ),
    pytest.param(
        "def add(kept, n): kept.append(Request())\nleak = functools.partial(add, [])",
        ".leak.args[...]",
        id="partial",
    ),
    pytest.param(
        "CALLBACKS = []\ndef leak(n): CALLBACKS.append(Request().__init__)",
        ".CALLBACKS",
        id="bound-method",
    ),
    pytest.param(SLOTS, ".STORE.rows", id="slots"),
    pytest.param(
        "class Service:\n  def __init__(self): self.rows = []\nSERVICE = Service()\n"
        "def leak(n): SERVICE.rows.append(Request())",
        ".SERVICE.rows",
        id="attribute-of-instance",
    ),
    pytest.param(GENERATOR, ".RUNNING, local variable found of collect", id="generator"),
    pytest.param(KEPT_GENERATORS, ".KEPT", id="generators-kept"),
    pytest.param(
        "SEEN = threading.local()\nSEEN.rows = []\ndef leak(n): SEEN.rows.append(Request())",
        ".SEEN.rows",
        id="thread-local",
    ),
    pytest.param(LINKED, ".HEAD", id="linked-list"),
    pytest.param(
        "ROWS = []\ndef leak(n):\n  global ROWS\n  ROWS = ROWS + [Request()]",
        ".ROWS",
        id="list-replaced",
    ),
    pytest.param(
        "T = {'a': {'b': []}}\ndef leak(n): T['a']['b'].append(Request())",
        ".T[...][...]",
        id="nested",
    ),
    pytest.param(WEAK, ".CACHE", id="weak-keys"),
    pytest.param(WEAK_CLOSURE, "._get, closure variable cache", id="weak-keys-in-closure"),
    pytest.param(
        "D = collections.OrderedDict()\ndef leak(n): D[Request()] = n", ".D", id="keys"
    ),
    pytest.param(
        "def leak(n): setattr(sys.modules[__name__], f'x{n}', Request())", "", id="module"
    ),
    pytest.param("T = ''\ndef leak(n):\n  global T\n  T += 'xy'", ".T", id="text"),
    pytest.param("B = bytearray()\ndef leak(n): B.extend(b'xyz')", ".B", id="bytearray"),
    pytest.param("B = io.BytesIO()\ndef leak(n): B.write(b'xyz')", ".B", id="bytes-io"),
    pytest.param(MANY_HOLDERS, ".Logger.manager.kept", id="one-that-many-others-hold-too"),
    pytest.param(
        "Q = queue.SimpleQueue()\ndef leak(n): Q.put(Request())", ".Q", id="simple-queue"
    ),
]


@pytest.mark.parametrize(("source", "holder"), HOLDERS)
def test_holder(source, holder):
    """The holder of new objects is named after the module it is reached from."""
    found = found_in(source)
    assert f"{NAME}{holder}" == found.path.holder
    assert found.notes == ()


def test_classes_without_a_holder():
    """The interpreter's weak list of subclasses is not reported as a holder of classes."""
    found = found_in(
        "count = ctypes.pythonapi.Py_IncRef\ncount.argtypes = [ctypes.py_object]\n"
        "def leak(n): count(type(f'Made{n}', (), {}))"
    )
    assert found.path is None
    assert "type" in {growth.type for growth in found.types}


def test_a_handler_that_each_call_replaces():
    """The handler holds what the last call made; the list of all functions holds the rest."""
    found = found_in(REPLACED_HANDLER)
    assert found.path.holder == "atexit"


def test_environment():
    """Variables of the environment are held by what users know, not by its internals."""
    found = found_in("import os\ndef leak(n): os.environ[f'LEAK_{n}'] = 'x'")
    assert found.path.holder == "os.environ._data"


@pytest.mark.parametrize("source", [CLOSURE, GENERATOR, LINKED, WEAK_CLOSURE])
def test_holder_is_the_same_again(source):
    """A second search for the same leak names the same holder."""
    first, second = holders_in(source, 2)
    assert first
    assert first == second


@pytest.mark.parametrize(
    ("source", "steps"),
    [
        pytest.param(
            "_REGISTRY = {}\ndef leak(n): _REGISTRY[f'req-{n}'] = Request()",
            (
                f"module {NAME}",
                "_REGISTRY (dict, 17 entries)",
                "key 'req-16'",
                f"{NAME}.Request",
            ),
            id="dict",
        ),
        pytest.param(
            "class Model: registry = []\ndef leak(n): Model.registry.append(Request())",
            (
                f"class {NAME}.Model",
                "attribute registry (list, 17 items)",
                "[16]",
                f"{NAME}.Request",
            ),
            id="class",
        ),
        pytest.param(
            LRU.format(bound=None),
            (
                f"functools.lru_cache of {NAME}.load (17 entries)",
                "cached call",
                f"{NAME}.Request",
            ),
            id="lru-cache",
        ),
        pytest.param(
            GENERATOR,
            (
                f"module {NAME}",
                "RUNNING (generator collect)",
                f"local variable found of collect, {NAME}.py:10 (list, 17 items)",
                "[16]",
                f"{NAME}.Request",
            ),
            id="generator",
        ),
        pytest.param(
            WEAK,
            (
                f"module {NAME}",
                "CACHE (WeakKeyDictionary, 17 entries)",
                "value of a weak key",
                f"{NAME}.Wrapper",
            ),
            id="weak-keys",
        ),
        pytest.param(
            OTHER_THREAD,
            (
                "thread 'worker-1'",
                f"local variable rows of work, {NAME}.py:13 ({NAME}.Rows, 17 items)",
                "[16]",
                f"{NAME}.Request",
            ),
            id="other-thread",
        ),
        pytest.param(
            "V = contextvars.ContextVar("
            "'V')\nV.set([])\ndef leak(n): V.get().append(Request())",
            (
                "context variables",
                "context variable V (list, 17 items)",
                "[16]",
                f"{NAME}.Request",
            ),
            id="context-variable",
        ),
        pytest.param(
            LINKED, (f"module {NAME}", f"HEAD ({NAME}.Node)"), id="no-container-at-all"
        ),
        pytest.param(
            "KINDS = {Request: []}\ndef leak(n): KINDS[Request].append(Request())",
            (
                f"module {NAME}",
                "KINDS (dict, 1 entry)",
                f"key class {NAME}.Request",
                "list, 17 items",
                "[16]",
                f"{NAME}.Request",
            ),
            id="key-is-a-class",
        ),
        pytest.param(
            ERROR,
            (f"module {NAME}", "ERROR (ValueError)", ".__traceback__ (traceback)"),
            id="traceback-of-an-error",
        ),
        pytest.param(
            "import codecs\nclass Search:\n  def find(self, n): pass\n"
            "def leak(n): codecs.register(Search().find)",
            (
                "a list of method that C code alone holds (18 items)",
                "[17]",
                f"method {NAME}.Search.find",
            ),
            id="held-by-c-code",
        ),
        pytest.param(
            SIGNAL, (f"handler of SIGUSR2 ({NAME}.Handler)",), id="handler-of-a-signal"
        ),
    ],
)
def test_steps(source, steps):
    """The path from the root to a new object is described in words."""
    assert steps == found_in(source).path.steps


@pytest.mark.parametrize(
    ("source", "bounded"),
    [
        pytest.param(
            LRU.format(bound=128),
            f"functools.lru_cache(maxsize=128) of {NAME}.load, 17 of 128 used",
            id="lru-cache",
        ),
        pytest.param(LRU.format(bound=None), "", id="lru-cache-without-bound"),
        pytest.param(
            DEQUE.format(bound=100),
            f"{NAME}.RECENT: collections.deque(maxlen=100), 17 of 100 used",
            id="deque",
        ),
        pytest.param(DEQUE.format(bound=None), "", id="deque-without-bound"),
        pytest.param(
            BOUNDED_DICT.format(bound=64),
            f"{NAME}.CACHE: {NAME}.Bounded, at most 64, 17 of 64 used",
            id="dict-subclass",
        ),
        pytest.param(BOUNDED_DICT.format(bound=10), "", id="bound-already-passed"),
        pytest.param(
            OWNER.format(bound=64),
            f"{NAME}.CACHE._Cache__data: {NAME}.Cache, at most 64, 17 of 64 used",
            id="owner-of-the-dict",
        ),
        pytest.param(BUSY_OWNER, "", id="bound-of-something-else"),
        pytest.param(LIMIT.format(bound=5000), "", id="some-limit"),
        pytest.param("L = []\ndef leak(n): L.append(Request())", "", id="list"),
    ],
)
def test_bounded(source, bounded):
    """A cache that has a bound is reported with it and with how full it is."""
    assert bounded == found_in(source).path.bounded


def test_cache_of_patterns_is_bounded():
    """The cache of compiled regular expressions is known to be bounded."""
    found = found_in("re.purge()\ndef leak(n): re.compile(f'memguard-{n}')")
    assert found.path.holder in {"re._cache", "re._cache2"}
    assert "used" in found.path.bounded


@pytest.mark.parametrize("source", [WEAK, WEAK_CLOSURE])
def test_remark_on_weak_keys(source):
    """A remark says when the value of a weak key is what keeps the key."""
    assert found_in(source).path.remark == "held by the value of its own weak key"


def test_no_remark_on_weak_keys_held_elsewhere():
    """Keys of a weak dictionary that something else holds are attributed to that."""
    found = found_in(
        "W = weakref.WeakKeyDictionary()\nKEPT = []\n"
        "def leak(n):\n  request = Request()\n  W[request] = 1\n  KEPT.append(request)"
    )
    assert (f"{NAME}.KEPT", "") == (found.path.holder, found.path.remark)


@pytest.mark.parametrize(
    ("key", "words"),
    [
        pytest.param("n", "key 16", id="int"),
        pytest.param("f'{n}' * 60", "key '16161616161616161616161616161616161616…", id="long"),
        pytest.param("(n, 'a', None)", "key (16, 'a', None)", id="tuple"),
        pytest.param("Request()", f"key of type {NAME}.Request", id="instance"),
        pytest.param("(n, Request())", f"key (16, <{NAME}.Request>)", id="instance-in-tuple"),
    ],
)
def test_key_words(key, words):
    """Keys are written out where that takes no code of theirs, and not at length."""
    found = found_in(f"D = {{}}\ndef leak(n): D[{key}] = Request()")
    assert words == found.path.steps[2]


MARKED = """
class Mark:
    __module__ = "_pytest.mark.structures"

class CallSpec2:
    __module__ = "_pytest.python"

class Failed:
    new = None

def test_it(): pass
FAILED, MARK, SPEC = Failed(), Mark(), CallSpec2()
MARK.args = ("error", [[FAILED]])
SPEC.params = {"error": FAILED}
test_it.pytestmark = [MARK]
FAILED.new = [FAILED]
HELD = [FAILED.new]
del FAILED, MARK
"""


def test_time_does_not_decide_the_name_of_a_parameter() -> None:
    """Objects in a marker of the test are attributed to it, even when no time is left."""
    with module(MARKED) as made:
        spec, target = [made.SPEC], made.HELD.pop()
        del made.SPEC
        search = Search(avoid={id(spec)}, deadline=0.0)
        assert search.chains([target])[0].root.name == f"{NAME}.test_it"


@pytest.mark.parametrize(
    ("seconds", "name"), [(60.0, "far_below, local variable outer"), (-1.0, "")]
)
def test_time_that_is_over(seconds, name) -> None:
    """What would be named for want of any other holder is not, if others were not looked at."""

    def far_below() -> str:
        targets: list[list[object]] = [[]]
        outer = [targets[0]]
        for _ in range(12):
            outer = [outer]
        deadline = time.thread_time() + seconds
        (found, *_) = [*Search(avoid={id(targets)}, deadline=deadline).chains(targets), None]
        return "" if found is None else f"{found.lead.name}"

    assert name == far_below()
