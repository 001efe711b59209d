"""A hand-written cache that drops its oldest entry from 1,024 on."""

from itertools import count


class Plan:
    """What is cached."""

    def __init__(self, query: int) -> None:
        self.query = query


_CACHE: dict[int, Plan] = {}
_QUERIES = count(1_000)


def plan(query: int) -> Plan:
    """Find a plan or make it."""
    if query not in _CACHE:
        _CACHE[query] = Plan(query)
        while len(_CACHE) > 1_024:
            _CACHE.pop(next(iter(_CACHE)))
    return _CACHE[query]


def test_plan() -> None:
    """A plan is for its query."""
    query = next(_QUERIES)
    assert plan(query).query == query
