"""Finds where chains of references start: modules, classes, functions, threads."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Sequence
from contextvars import Context
from importlib.machinery import ModuleSpec
from types import FrameType, FunctionType, ModuleType
from typing import Any, Final

from pytest_memguard.attribution import naming, raw
from pytest_memguard.attribution.leak_lines import is_named
from pytest_memguard.attribution.registries import thread_kind
from pytest_memguard.attribution.session_owners import MACHINERY, Owners, reached_from
from pytest_memguard.values import dataclass

LAST_RESORT: Final = 9
"""The rank of roots that are named only if there are no others: the interpreter's memory of the
last exception, what the import system puts into modules, and the parameters of a test, which a
mark of the test names better."""
PARAMETERS: Final = "parameters of a test"
_HAVE_PARAMETERS: Final = (("_pytest.python", "CallSpec"), ("_pytest.python", "CallSpec2"))
"""Classes of pytest with parameters; the second is the name before pytest 9."""
_OF_IMPORT: Final = ("__loader__", "__spec__")
"""What the import system puts into every module: it does not hold a loader for its own sake."""
_RUNNER: Final = "pytest"
_OWNED: Final = 3
"""The rank of what belongs to the test runner."""
_FRONTED: Final = ("posix", "nt")
"""Modules whose content `os` shows under a name that users know."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Root:
    """A place that is not held by anything worth naming."""

    words: str
    """For display: ``module app.cache``."""
    name: str
    """Without what changes from run to run: ``app.cache``."""
    rank: int = 0
    """The lower, the more informative."""
    owner: str = ""
    """The part of the test runner that it is."""


class Roots:
    """Knows all modules, and finds what can be named through them.

    Args:
        owners: parts of the test runner that keep things for a whole session.
    """

    def __init__(self, owners: Owners = ()) -> None:
        self._owners = {id(owner): name for owner, name in owners}
        self._reached: dict[int, str] | None = None
        self._plugins = owners
        self._modules: dict[int, Root] = {}
        self._of_namespace: dict[int, ModuleType] = {}
        self._handlers = _signal_handlers()
        for name, module in raw.modules():
            if name in _FRONTED:
                continue
            root = _module_root(name, module, self._owners.get(id(module), ""))
            self._of_namespace[id(raw.instance_dict(module))] = module
            for place in (module, raw.instance_dict(module)):
                known = self._modules.get(id(place))
                if place is not None and (known is None or known.name != root.name):
                    self._modules[id(place)] = root

    def whole(self, holder: Any) -> Any:
        """Return the module for its namespace; anything else as it is."""
        return self._of_namespace.get(id(holder), holder)

    def is_module(self, identity: int) -> bool:
        """Return whether a module, or the namespace of one, has this id."""
        return identity in self._modules

    def is_handler(self, holder: object) -> bool:
        """Return whether an object is the present handler of a signal."""
        return id(holder) in self._handlers

    def of(self, holder: Any, child: object = None) -> Root | None:
        """Return the root that an object is; ``None`` if it is none.

        Args:
            holder: the object.
            child: what it holds on the way to the new object.
        """
        known = self._modules.get(id(holder))
        if known is not None:
            return _of_module(known, holder, child)
        found = self._handlers.get(id(holder)) or self._by_kind(holder)
        owner = self._owners.get(id(holder), "")
        if found is None and owner:
            name = f"{owner}, {naming.described(holder).partition(',')[0]}"
            found = Root(words=name, name=name, rank=_OWNED, owner=owner)
        return found

    def owner_of(self, root: Root, above: Sequence[Any]) -> str:
        """Return the part of the test runner that keeps what a root leads to, if one does.

        What the standard library holds may be an object of the test runner: an import hook, a
        log handler. What a test's own module refers to is the test's.

        Args:
            root: where a chain starts.
            above: the objects from there to what grows, without it.
        """
        if root.name.partition(".")[0] not in sys.stdlib_module_names:
            return ""
        for held in above:
            if id(held) in self._owners:
                return self._owners[id(held)]
            if raw.class_name(type(held))[0].partition(".")[0] in MACHINERY:
                return _RUNNER
        if self._reached is None:
            self._reached = reached_from(self._plugins)
        return next(filter(None, (self._reached.get(id(held)) for held in above)), "")

    @staticmethod
    def _by_kind(holder: Any) -> Root | None:
        kind = type(holder)
        if kind is FunctionType:
            return _named(holder, raw.text(holder.__module__), raw.text(holder.__qualname__))
        if kind is raw.LRU_CACHE:
            attributes = raw.instance_dict(holder) or {}
            names = (raw.text(attributes.get(key)) for key in ("__module__", "__qualname__"))
            return _named(holder, *names)
        if issubclass(kind, type):
            return _named(holder, *raw.class_name(holder))
        if kind is ModuleSpec:
            return Root(words="import system", name="import system", rank=LAST_RESORT)
        if kind is Context:
            return Root(words="context variables", name="context variables", rank=4)
        return _of_pytest(holder, kind)


def _signal_handlers() -> dict[int, Root]:
    """Return roots for handlers of signals, which only C code holds."""
    found: dict[int, Root] = {}
    for number in signal.valid_signals():
        words = f"handler of {getattr(number, 'name', f'signal {number}')}"
        try:
            handler = signal.getsignal(number)
        except ValueError:  # a number that the platform keeps to itself
            continue
        if handler is not None and not issubclass(type(handler), int):
            described = f"{words} ({naming.described(handler)})"
            found[id(handler)] = Root(words=described, name=words, rank=1)
    return found


def _module_root(name: str, module: ModuleType, owner: str) -> Root:
    own_name = naming.module_name(module)
    if sys.modules.get(own_name) is module:
        name = own_name
    last = name.rpartition(".")[2]
    if name.partition(".")[0] in MACHINERY:
        rank, owner = _OWNED, owner or _RUNNER
    elif owner:
        rank = _OWNED
    elif last in {"__main__", "conftest"} or last.startswith("test_") or last.endswith("_test"):
        rank = 2
    else:
        # a package mostly passes on what its modules define
        rank = int("__path__" in (raw.instance_dict(module) or {}))
    return Root(words=f"module {name}", name=name, rank=rank, owner=owner)


def _of_module(root: Root, holder: Any, child: object) -> Root:
    """Return a module as a root, of the last rank if it holds something for the interpreter."""
    if type(holder) is not dict or child is None:
        return root
    names = [str(name) for name, value in raw.items(holder) if value is child]
    is_last_exception = root.name == "sys" and all(n.startswith("last_") for n in names)
    if names and (is_last_exception or all(name in _OF_IMPORT for name in names)):
        return Root(words=root.words, name=root.name, rank=LAST_RESORT)
    return root


def _named(obj: object, module: str, qualname: str) -> Root | None:
    """Return the root for a class or function that can be found by its own name."""
    found: Any = sys.modules.get(module)
    if not qualname or found is None:
        return None
    for part in qualname.split("."):
        if issubclass(type(found), type):
            found = raw.namespace(found).get(part)
        else:
            found = (raw.instance_dict(found) or {}).get(part)
        if raw.is_exactly(found, staticmethod, classmethod):
            found = found.__func__
    if found is not obj:
        return None
    name = f"{module}.{qualname}"
    words = naming.described(obj).partition(",")[0]
    return Root(words=words, name=words if type(obj) is raw.LRU_CACHE else name)


def _of_pytest(obj: object, kind: type) -> Root | None:
    """Return a root for what pytest keeps for a fixture or a test, recognised by its names."""
    class_name = raw.class_name(kind)
    if class_name in _HAVE_PARAMETERS:
        return Root(words=PARAMETERS, name=PARAMETERS, rank=LAST_RESORT)
    if class_name != ("_pytest.fixtures", "FixtureDef"):
        return None
    name = raw.text((raw.instance_dict(obj) or {}).get("argname"))
    return Root(words=f"fixture {name}", name=f"fixture {name}", rank=5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Variable:
    """A local variable of a running function."""

    root: Root
    """The thread; for the current thread, the function."""
    name: str
    """Its name."""
    frame: FrameType
    """Its frame."""


def local_variables() -> dict[int, Variable]:
    """Return local variables of running functions, by the ids of their values.

    Those of pytest and of the leak check in the current thread are left out.
    """
    threads = {
        (raw.instance_dict(thread) or {}).get("_ident"): thread
        for thread in threading.enumerate()
    }
    found: dict[int, Variable] = {}
    for ident, innermost in sys._current_frames().items():  # noqa: SLF001  # no other way
        frame: FrameType | None = innermost
        here = ident == threading.get_ident()
        while frame is not None:
            if here:
                root = Root(words=f"running {naming.frame_words(frame)}", name="", rank=7)
            else:
                root = _of_thread(threads.get(ident), frame)
            if not (here and _is_machinery(frame)):
                for name, value in raw.local_values(frame).items():
                    variable = Variable(root=root, name=name, frame=frame)
                    found.setdefault(id(value), variable)
            frame = frame.f_back
    del innermost, frame  # this function's own is among them, and would hold itself
    return found


def _of_thread(thread: object, frame: FrameType) -> Root:
    """Return a thread as a root of a variable in one of its frames.

    All projects have threads that wait in the same functions of the standard library: there,
    the name says what the thread runs.

    Args:
        thread: the thread; ``None`` if it is not known.
        frame: the frame.
    """
    words = "thread" if thread is None else naming.described(thread)
    runs = ""
    if not is_named(frame.f_code.co_filename):
        runs = _own_function(frame) or ("" if thread is None else thread_kind(thread))
    return Root(words=words, name=f"thread {runs}, " if runs else "thread, ", rank=6)


def _own_function(frame: FrameType | None) -> str:
    """Return the innermost function outside the standard library that leads to a frame."""
    while frame is not None and not is_named(frame.f_code.co_filename):
        frame = frame.f_back
    if frame is None:
        return ""
    module = raw.text(frame.f_globals.get("__name__"))
    return f"{module}.{frame.f_code.co_name}"


def _is_machinery(frame: FrameType) -> bool:
    module = raw.text(frame.f_globals.get("__name__"))
    return module.partition(".")[0] in {*MACHINERY, "pytest_memguard"}
