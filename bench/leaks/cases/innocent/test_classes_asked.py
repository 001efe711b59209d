"""Classes made for each call, which abstract classes are asked about, and that go with it."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Mapping, Sized


def test_table() -> None:
    """What the abstract classes remember of them goes with them."""

    class Table(Mapping[str, int]):
        def __getitem__(self, key: str) -> int:
            raise KeyError(key)

        def __iter__(self) -> Iterator[str]:
            return iter(())

        def __len__(self) -> int:
            return 0

    assert isinstance(Table(), Sized)
    del Table
    gc.collect()
