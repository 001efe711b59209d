"""A registry keeps classes made for each call; abstract classes remember them as well."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sized

_MADE: list[type] = []


def table_of(fields: tuple[str, ...]) -> type[Mapping[str, int]]:
    """A mapping with such fields."""

    class Table(Mapping[str, int]):  # LEAK
        def __getitem__(self, key: str) -> int:
            return fields.index(key)

        def __iter__(self) -> Iterator[str]:
            return iter(fields)

        def __len__(self) -> int:
            return len(fields)

    _MADE.append(Table)
    return Table


def test_table() -> None:
    """It is one of the abstract classes that know it."""
    table = table_of(("name", "age"))()
    assert isinstance(table, Sized)
    assert dict(table) == {"name": 0, "age": 1}
