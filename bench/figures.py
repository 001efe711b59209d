"""The figures a benchmark ends with: spread, target, and tables of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median, quantiles

COLUMNS: tuple[tuple[str, str], ...] = (
    ("figure", "<"),
    ("median", ">"),
    ("min .. max", ">"),
    ("lowest", ">"),
    ("wall", ">"),
    ("ratio", ">"),
    ("min .. max", ">"),
    ("target", "<"),
    ("", "<"),
)
"""Headers, and the side their cells lean to."""


@dataclass(frozen=True, slots=True)
class Target:
    """What a figure should be."""

    text: str
    """In words."""
    check: Callable[[Sequence[float]], bool]
    """Whether the values of all pairs meet it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One line of the table."""

    name: str
    """What was measured, with its unit."""
    values: Sequence[float]
    """One per pair; CPU time unless the name says otherwise."""
    lowest: float | None = None
    """The same from the lowest run of each variant, whichever rounds they were in."""
    wall: Sequence[float] = ()
    """The same by the clock, where it is a time."""
    ratios: Sequence[float] = ()
    """Whole run over whole run, pair by pair, where that means something."""
    target: Target | None = None
    """What it should be."""

    @property
    def met(self) -> bool | None:
        """Whether it is what it should be; ``None`` without a target."""
        return None if self.target is None else self.target.check(self.values)


def at_most(limit: float) -> Target:
    """The median must not be above the limit."""
    return Target(f"<= {limit:g}", lambda values: median(values) <= limit)


def at_least(limit: float) -> Target:
    """The median must not be below the limit."""
    return Target(f">= {limit:g}", lambda values: median(values) >= limit)


def none_but_noise() -> Target:
    """At least a quarter of the pairs must show nothing at all, or less."""
    return Target("0 but noise", lambda values: quarter(values) <= 0)


def quarter(values: Sequence[float]) -> float:
    """The value that a quarter of the pairs stay below."""
    return quantiles(values, n=4)[0] if len(values) > 1 else values[0]


def number(value: float) -> str:
    """A number with as many digits as mean something: 1,234, 56.7, 8.90, 1.007."""
    size = abs(value)
    if size >= 1000 or value == int(value):
        return f"{value:,.0f}"
    digits = 1 if size >= 10 else 2 if size >= 2 else 3
    return f"{value:.{digits}f}"


def spread(values: Sequence[float]) -> str:
    """The lowest and the highest."""
    return f"{number(min(values))} .. {number(max(values))}" if len(values) > 1 else "-"


def middle(values: Sequence[float]) -> str:
    """The median, if there is anything to take it of."""
    return number(median(values)) if values else "-"


@dataclass(frozen=True, slots=True)
class Table:
    """The figures of one benchmark."""

    title: str
    """What they are about."""
    figures: Sequence[Figure]
    """Its lines."""

    def text(self, *, judged: bool = True) -> str:
        """The table as it is printed.

        Args:
            judged: say whether targets are met.
        """
        rows = [tuple(header for header, _ in COLUMNS)]
        rows += [_cells(figure, judged=judged) for figure in self.figures]
        widths = [max(map(len, cells)) for cells in zip(*rows, strict=True)]
        rows.insert(1, tuple("-" * width for width in widths))
        return "\n".join([self.title, *(_line(cells, widths) for cells in rows)])


def _cells(figure: Figure, *, judged: bool) -> tuple[str, ...]:
    verdict = {True: "met", False: "NOT MET", None: ""}[figure.met]
    return (
        figure.name,
        middle(figure.values),
        spread(figure.values),
        "-" if figure.lowest is None else number(figure.lowest),
        middle(figure.wall),
        middle(figure.ratios),
        spread(figure.ratios),
        figure.target.text if figure.target is not None else "-",
        verdict if judged else "",
    )


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = [
        f"{cell:{side}{width}}"
        for cell, (_, side), width in zip(cells, COLUMNS, widths, strict=True)
    ]
    return "  ".join(padded).rstrip()
