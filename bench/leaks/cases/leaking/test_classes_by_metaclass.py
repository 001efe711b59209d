"""A metaclass makes a class for each set of fields, and a cache keeps them all by key."""

from __future__ import annotations

import itertools
from typing import Any

_RECORDS: dict[tuple[str, int], type] = {}
_VERSIONS = itertools.count(1000)


class RecordMeta(type):
    """Notes which fields a record has."""

    def __new__(mcs, name: str, bases: tuple[type, ...], body: dict[str, Any]) -> RecordMeta:
        """Make a record."""
        fields = [key for key, value in body.items() if value is int]
        made = super().__new__(mcs, name, bases, body)  # LEAK
        made.fields = fields
        return made


class Record(metaclass=RecordMeta):
    """What all records have in common."""

    fields: list[str]


def record(name: str, version: int) -> type[Record]:
    """The record of that name and version."""
    key = (name, version)
    if key not in _RECORDS:
        _RECORDS[key] = RecordMeta(f"{name}_{version}", (Record,), {"age": int})
    return _RECORDS[key]


def test_record_of_a_new_version() -> None:
    """It has its field."""
    assert record("person", next(_VERSIONS)).fields == ["age"]
