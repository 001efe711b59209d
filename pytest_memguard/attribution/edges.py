"""Names the steps from a holder to what it holds."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from contextvars import Context
from dataclasses import replace
from itertools import islice
from types import (
    CellType,
    FrameType,
    FunctionType,
    MappingProxyType,
    ModuleType,
    TracebackType,
)
from typing import Any, Final
from weakref import ReferenceType

from pytest_memguard.attribution import naming, raw
from pytest_memguard.values import dataclass

ITEM: Final = "[...]"
"""Any key or index in a name that has to stay the same."""
_MOST_ITEMS: Final = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainStep:
    """The step from an object to another that it holds, perhaps through uninteresting ones."""

    words: str
    """For display: ``key 'req-17'``; empty if the next step says it all."""
    name: str
    """What it adds to a name that has to stay the same: ``.registry``."""
    length: int = 1
    """Number of objects that it passes."""
    attribute: bool = True
    """Whether what is held is described beside it, and not as a step of its own."""
    key: object = None
    """The key of a dict that leads to it."""


Way = Callable[[Sequence[Any]], ChainStep | None]


def follow(chain: Sequence[Any]) -> ChainStep:
    """Return the first step along a chain of objects of which each holds the next.

    Args:
        chain: at least two objects.
    """
    for way in _WAYS:
        step = way(chain)
        if step is not None:
            return step
    return ChainStep(words="(inside)", name="")


def _through_namespace(chain: Sequence[Any]) -> ChainStep | None:
    """Return the step from a class, a module or an instance through its dict."""
    holder, held = chain[:2]
    if issubclass(type(holder), type):
        return _of_class(chain)
    if type(held) is dict and len(chain) > 2 and raw.instance_dict(holder) is held:
        name = key_of(held, chain[2])
        return None if name is None else _attribute(holder, name, 2)
    return None


def _of_class(chain: Sequence[Any]) -> ChainStep | None:
    names = [key for key, value in _entries(chain[0]) if value is chain[1]]
    if names:
        return _attribute(chain[0], min(names), 1)
    if len(chain) > 2 and raw.is_exactly(chain[1], dict, MappingProxyType):
        names = [key for key, value in _entries(chain[0]) if value is chain[2]]
        if names:
            return _attribute(chain[0], min(names), 2)
    if type(chain[1]) is tuple and len(chain) > 2 and issubclass(type(chain[2]), type):
        return ChainStep(words="base class", name=", base class", length=2)
    return None


def _entries(cls: type) -> list[tuple[str, Any]]:
    return [(raw.text(key), value) for key, value in list(raw.namespace(cls).items())]


def _attribute(holder: object, name: str, length: int) -> ChainStep:
    if issubclass(type(holder), ModuleType):
        return ChainStep(words=name, name=f".{name}", length=length)
    if issubclass(type(holder), type):
        return ChainStep(words=f"attribute {name}", name=f".{name}", length=length)
    return ChainStep(words=f".{name}", name=f".{name}", length=length)


def _through_function(chain: Sequence[Any]) -> ChainStep | None:
    """Return the step from a function to variables of its closure, or its defaults."""
    function, held = chain[:2]
    if type(function) is not FunctionType or len(chain) < 3:
        return None
    if held is function.__closure__ and type(chain[2]) is CellType:
        position = index_of(held, chain[2]) or 0
        name = function.__code__.co_freevars[position]
        words = f"closure variable {name}"
        return ChainStep(words=words, name=f", {words}", length=min(3, len(chain) - 1))
    if held is function.__defaults__:
        names = function.__code__.co_varnames[: function.__code__.co_argcount]
        name = names[(index_of(held, chain[2]) or 0) - len(held or ())]
    elif held is function.__kwdefaults__:
        name = key_of(held, chain[2]) or ""
    else:
        return None
    return ChainStep(words=f"default of {name}", name=f", default of {name}", length=2)


def _through_weak_container(chain: Sequence[Any]) -> ChainStep | None:
    """Return the step from a container of weak references to its ``data``."""
    if not naming.is_weak_container(chain[0]):
        return None
    data = (raw.instance_dict(chain[0]) or {}).get("data")
    for position, held in enumerate(chain[1:3], start=1):
        if held is data:
            return ChainStep(words="", name="", length=position)
    return None


def _through_thread_local(chain: Sequence[Any]) -> ChainStep | None:
    """Return the step from a `threading.local` to an attribute that one thread sees.

    The version in C has a dict of the threads' dicts. That in Python has the dict of the thread
    that used it last and, through another object, those of all threads.
    """
    known = {raw.class_name(cls) for cls in raw.mro(type(chain[0]))}
    if ("_thread", "_local") in known:
        kinds: tuple[type, ...] = (dict, dict)
    elif ("_threading_local", "local") in known:
        kinds = (dict,) if type(chain[1]) is dict else (type(chain[1]), dict, tuple, dict)
    else:
        return None
    length = len(kinds) + 1
    way = zip(chain[1:], kinds, strict=False)
    if len(chain) <= length or not all(type(held) is kind for held, kind in way):
        return None
    name = key_of(chain[length - 1], chain[length])
    if name is None:
        return None
    return ChainStep(words=f".{name} of one thread", name=f".{name}", length=length)


def _through_context(chain: Sequence[Any]) -> ChainStep | None:
    """Return the step from a context to the value of one of its variables."""
    if type(chain[0]) is not Context:
        return None
    for variable, value in chain[0].items():
        for position, held in enumerate(chain[1:], start=1):
            if held is value:
                words = f"context variable {variable.name}"
                return ChainStep(words=words, name=f", {words}", length=position)
    return None


def _through_lru_cache(chain: Sequence[Any]) -> ChainStep | None:
    """Return the step from a cached function to its results, past the dict that has them."""
    if type(chain[0]) is not raw.LRU_CACHE:
        return None
    if type(chain[1]) is dict and raw.instance_dict(chain[0]) is not chain[1]:
        if len(chain) == 2:
            return ChainStep(words="results", name="")
        return ChainStep(words="cached call", name=ITEM, length=2, attribute=False)
    known = [name for name, value in raw.attributes(chain[0]) if value is chain[1]]
    if known:
        return _attribute(chain[0], known[0], 1)
    return ChainStep(words="cached call", name=ITEM, attribute=False)


def _through_frame(chain: Sequence[Any]) -> ChainStep | None:
    """Return the step from a frame, or something suspended, to a local variable."""
    frame, length = chain[0], 1
    if raw.is_exactly(frame, *naming.GENERATORS):
        frame = getattr(frame, naming.GENERATORS[type(frame)])
        length = 2 if type(chain[1]) is FrameType else 1
    if type(frame) is not FrameType or len(chain) <= length:
        return None
    held = chain[length]
    if type(held) is CellType and len(chain) > length + 1:
        length += 1
        held = chain[length]
    for name, value in raw.local_values(frame).items():
        if value is held:
            words = f"local variable {name} of {naming.frame_words(frame)}"
            stable = f", local variable {name} of {frame.f_code.co_name}"
            return ChainStep(words=words, name=stable, length=length)
    return None


def _to_item(chain: Sequence[Any]) -> ChainStep | None:
    """Return the step from a container to one of its items."""
    holder, held = chain[:2]
    if issubclass(type(holder), dict):
        for key, value in reversed(raw.items(holder)):
            if value is held:
                if issubclass(type(key), ReferenceType):
                    return _item("value of a weak key")
                return replace(_item(f"key {naming.key_words(key)}"), key=key)
            if key is held:
                return _item("a key")
    if issubclass(type(holder), (list, tuple, deque)):
        position = index_of(holder, held)
        if position is not None:
            return _item(f"[{position}]")
    if issubclass(type(holder), (set, frozenset)):
        return _item("set member")
    return None


def _item(words: str) -> ChainStep:
    return ChainStep(words=words, name=ITEM, attribute=False)


def _to_attribute(chain: Sequence[Any]) -> ChainStep | None:
    """Return the step from an object to an attribute of its own."""
    holder, held = chain[:2]
    for name, value in raw.attributes(holder):
        if value is held:
            return _attribute(holder, name, 1)
    if type(holder) is CellType or type(holder) is MappingProxyType:
        return ChainStep(words="", name="")
    if issubclass(type(holder), ReferenceType):
        return ChainStep(words="weakref callback", name=", weakref callback")
    return None


def _through_error(chain: Sequence[Any]) -> ChainStep | None:
    """Return the step from an exception to its traceback or others, and along a traceback."""
    kind = type(chain[0])
    if not issubclass(kind, BaseException) and kind is not TracebackType:
        return None
    for cls, name in _OF_ERRORS:
        if issubclass(kind, cls) and cls.__dict__[name].__get__(chain[0]) is chain[1]:
            return _attribute(chain[0], name, 1)
    return None


_OF_ERRORS: Final = (
    *((BaseException, name) for name in ("__traceback__", "__cause__", "__context__", "args")),
    *((TracebackType, name) for name in ("tb_frame", "tb_next")),
)


def _through_fixture(chain: Sequence[Any]) -> ChainStep | None:
    """Return the step from what pytest keeps for a fixture to the fixture's value."""
    if raw.class_name(type(chain[0])) != ("_pytest.fixtures", "FixtureDef"):
        return None
    kept = dict(raw.attributes(chain[0])).get("cached_result")
    for position, held in enumerate(chain[1:-1], start=1):
        if held is kept and type(kept) is tuple and kept and kept[0] is chain[position + 1]:
            return ChainStep(words="value", name="", length=position + 1)
    return None


_WAYS: Final[tuple[Way, ...]] = (
    _through_weak_container,
    _through_fixture,
    _through_thread_local,
    _through_namespace,
    _through_function,
    _through_context,
    _through_lru_cache,
    _through_frame,
    _through_error,
    _to_item,
    _to_attribute,
)


def key_of(mapping: Any, value: object) -> str | None:
    """Return the name under which a namespace holds a value; the plainest of several."""
    names = [raw.text(key) for key, held in raw.items(mapping) if held is value]
    return min(names, key=lambda name: (name.startswith("__"), name), default=None)


def index_of(sequence: Any, value: object) -> int | None:
    """Return the last index of this very object, not of an equal one."""
    kinds = (list, tuple, deque)
    walk = next(kind.__iter__ for kind in kinds if issubclass(type(sequence), kind))
    found = None
    try:
        for position, held in enumerate(islice(walk(sequence), _MOST_ITEMS)):
            if held is value:
                found = position
    except RuntimeError:  # another thread changed it meanwhile
        pass
    return found
