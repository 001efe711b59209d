"""What one holder keeps of the blocks that calls left behind."""

from __future__ import annotations

from typing import Any

from pytest_memguard.attribution.hidden_references import KeptByC
from pytest_memguard.attribution.pieces import Piece
from pytest_memguard.model.leaks import RetentionPath, TypeGrowth
from pytest_memguard.values import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """What one holder keeps."""

    path: RetentionPath | None
    """Retention path of the holder; ``None`` if no Python object holds the blocks."""
    pieces: tuple[Piece, ...]
    """The blocks."""
    types: tuple[TypeGrowth, ...]
    """Types of its objects of which there are more with every call."""
    objects: tuple[type, ...]
    """The type of each of its objects."""
    growing_container: object = None
    """The container, if it is one that grew."""
    gained: int = 0
    """By how many items it grew."""
    attribute_values: tuple[Piece, ...] = ()
    """Those of the blocks that have attributes of instances, and are no objects themselves."""
    buffer: int = 0
    """Bytes of the container's own buffer among the blocks: it does not grow evenly."""
    containers: tuple[Any, ...] = ()
    """All containers that grew with it, which have tables of their own."""
    is_population: bool = False
    """Whether there are so many of them that not all were examined."""
    kept_by_c: KeptByC | None = None
    """What of it would stay if the holder let go."""
    is_cut_short: bool = False
    """Whether there was too little time to look for all holders."""
    others: tuple[str, ...] = ()
    """Names of further holders of the same blocks."""
