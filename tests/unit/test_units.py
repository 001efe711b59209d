"""Tests of sizes and shares: what people write, to bytes and back."""

from __future__ import annotations

import math
import operator

import pytest

from pytest_memguard.errors import ConfigError
from pytest_memguard.units import (
    GIB,
    KIB,
    MIB,
    TIB,
    Size,
    format_mib,
    format_size,
    parse_share,
    parse_size,
)

SIZES = [
    pytest.param(200, 200 * MIB, id="bare-int"),
    pytest.param(1.5, 1536 * KIB, id="bare-float"),
    pytest.param(0, 0, id="zero"),
    pytest.param(None, 0, id="none"),
    pytest.param(1e-3, 1048, id="float-with-exponent"),
    pytest.param(1e20, 10**20 * MIB, id="huge-float"),
    pytest.param("200", 200 * MIB, id="bare-text"),
    pytest.param("0", 0, id="zero-text"),
    pytest.param("0 MB", 0, id="zero-with-unit"),
    pytest.param("512 KB", 512 * KIB, id="kb"),
    pytest.param("512k", 512 * KIB, id="k"),
    pytest.param("512kib", 512 * KIB, id="kib-lower-case"),
    pytest.param("200MB", 200 * MIB, id="mb-without-space"),
    pytest.param("200MiB", 200 * MIB, id="mib"),
    pytest.param("200M", 200 * MIB, id="m"),
    pytest.param("1.5 GiB", 1536 * MIB, id="gib"),
    pytest.param("2 gb", 2 * GIB, id="gb"),
    pytest.param("1T", TIB, id="t"),
    pytest.param("1 TiB", TIB, id="tib"),
    pytest.param("40 B", 40, id="b"),
    pytest.param("1 byte", 1, id="byte"),
    pytest.param("40 bytes", 40, id="bytes"),
    pytest.param(".5 KB", 512, id="no-digit-before-point"),
    pytest.param("1. KB", KIB, id="no-digit-after-point"),
    pytest.param("  7  MB\t", 7 * MIB, id="blanks-around"),
    pytest.param("0.3 MB", 314572, id="rounds-down"),
    pytest.param(Size(40), 40, id="size-is-bytes-already"),
]

NO_SIZES = [
    pytest.param("10 bananas", id="unknown-unit"),
    pytest.param("1MBxyz", id="text-after-unit"),
    pytest.param("about 1 MB", id="text-before-number"),
    pytest.param("", id="empty"),
    pytest.param("   ", id="blank"),
    pytest.param("MB", id="unit-alone"),
    pytest.param(".", id="point-alone"),
    pytest.param("-1", id="negative-text"),
    pytest.param(-1, id="negative-int"),
    pytest.param(-0.5, id="negative-float"),
    pytest.param("1e3", id="exponent-in-text"),
    pytest.param("1,5 GB", id="comma"),
    pytest.param("1 000", id="blank-in-number"),
    pytest.param("1_000", id="underscore"),
    pytest.param("0x10", id="hexadecimal"),
    pytest.param("\u0663 MB", id="other-digits"),
    pytest.param("1 \u212aB", id="kelvin-sign"),
    pytest.param("1 PB", id="too-large-a-unit"),
    pytest.param("1 ib", id="i-without-letter"),
    pytest.param("1 MB 1 KB", id="two-sizes"),
    pytest.param(math.nan, id="nan"),
    pytest.param(math.inf, id="infinity"),
    pytest.param(True, id="true"),
    pytest.param(b"1 MB", id="bytes"),
    pytest.param([200], id="list"),
]

SHARES = [
    pytest.param(0.8, 0.8, id="float"),
    pytest.param("0.8", 0.8, id="text"),
    pytest.param("80%", 0.8, id="percent"),
    pytest.param(" 12.5 % ", 0.125, id="percent-with-blanks"),
    pytest.param(".5", 0.5, id="no-digit-before-point"),
    pytest.param(1e-05, 0.00001, id="float-with-exponent"),
    pytest.param(None, None, id="none"),
    pytest.param(0, 0, id="zero"),
    pytest.param("0%", 0, id="zero-percent"),
]

NO_SHARES = [
    pytest.param(1, id="whole"),
    pytest.param("100%", id="whole-in-percent"),
    pytest.param(80, id="forgotten-percent-sign"),
    pytest.param(-0.1, id="negative"),
    pytest.param("80 percent", id="word"),
    pytest.param("", id="empty"),
    pytest.param("%", id="sign-alone"),
    pytest.param(math.nan, id="nan"),
    pytest.param(True, id="true"),
    pytest.param([0.8], id="list"),
]

WORDS = [
    pytest.param(0, "0 B", id="nothing"),
    pytest.param(40, "40 B", id="bytes"),
    pytest.param(1023, "1023 B", id="last-in-bytes"),
    pytest.param(1024, "1.0 KiB", id="first-in-kib"),
    pytest.param(8 * KIB, "8.0 KiB", id="kib"),
    pytest.param(1_048_524, "1023.9 KiB", id="last-in-kib"),
    pytest.param(1_048_525, "1.0 MiB", id="would-round-to-1024-kib"),
    pytest.param(MIB, "1.0 MiB", id="first-in-mib"),
    pytest.param(222_717_543, "212.4 MiB", id="mib"),
    pytest.param(1000 * MIB, "1000.0 MiB", id="many-mib"),
    pytest.param(GIB, "1.00 GiB", id="first-in-gib"),
    pytest.param(1.5 * GIB, "1.50 GiB", id="float"),
    pytest.param(3 * TIB, "3072.00 GiB", id="nothing-above-gib"),
    pytest.param(-8 * KIB, "-8.0 KiB", id="negative-kib"),
    pytest.param(-2 * GIB, "-2.00 GiB", id="negative-gib"),
]


@pytest.mark.parametrize(("written", "size"), SIZES)
def test_parse_size(written: object, size: int) -> None:
    """Every unit is a power of 1024, and a bare number is MiB."""
    assert size == parse_size(written)
    assert int is type(parse_size(written))


@pytest.mark.parametrize("written", NO_SIZES)
def test_parse_size_refuses(written: object) -> None:
    """What is not a size as a whole is refused, quoted, with a hint."""
    with pytest.raises(ConfigError) as caught:
        parse_size(written)
    assert (
        f"{written!r} is not a size: write a number of MiB (200) or a text with a unit "
        "('512 KB', '200 MB', '1.5 GiB')"
    ) == str(caught.value)


@pytest.mark.parametrize(("written", "share"), SHARES)
def test_parse_share(written: object, share: float | None) -> None:
    """A share is a number below 1 or a percentage; none is not the same as 0."""
    assert share == parse_share(written)


@pytest.mark.parametrize("written", NO_SHARES)
def test_parse_share_refuses(written: object) -> None:
    """What is no share below 1 is refused, quoted, with a hint."""
    with pytest.raises(ConfigError) as caught:
        parse_share(written)
    assert (
        f"{written!r} is not a share of the budget: write one below 1, as 0.8 or '80%'"
    ) == str(caught.value)


@pytest.mark.parametrize(("size", "words"), WORDS)
def test_format_size(size: float, words: str) -> None:
    """A size reads in the largest unit that does not make it a fraction."""
    assert words == format_size(size)


@pytest.mark.parametrize(
    ("size", "words"),
    [
        pytest.param(0, "0.0", id="nothing"),
        pytest.param(MIB, "1.0", id="one"),
        pytest.param(-3 * MIB, "-3.0", id="negative"),
        pytest.param(40 * KIB, "0.0", id="rounds-to-nothing"),
        pytest.param(-40 * KIB, "0.0", id="no-negative-nothing"),
        pytest.param(2048 * MIB, "2048.0", id="no-larger-unit"),
    ],
)
def test_format_mib(size: float, words: str) -> None:
    """A column of MiB has one decimal and no negative zero."""
    assert words == format_mib(size)


@pytest.mark.parametrize(
    ("compare", "other", "answer"),
    [
        pytest.param(operator.lt, "50 MB", False, id="lt-same-text"),
        pytest.param(operator.lt, "51 MB", True, id="lt-larger-text"),
        pytest.param(operator.lt, 50 * MIB + 1, True, id="lt-larger-int"),
        pytest.param(operator.le, "50 MB", True, id="le-same-text"),
        pytest.param(operator.le, 50 * MIB - 0.5, False, id="le-smaller-float"),
        pytest.param(operator.gt, "49 MB", True, id="gt-smaller-text"),
        pytest.param(operator.gt, Size(50 * MIB), False, id="gt-same-size"),
        pytest.param(operator.ge, "50 MB", True, id="ge-same-text"),
        pytest.param(operator.ge, "0.1 GB", False, id="ge-larger-text"),
        pytest.param(operator.eq, "50 MB", True, id="eq-same-text"),
        pytest.param(operator.eq, "51200 KB", True, id="eq-other-unit"),
        pytest.param(operator.eq, 50 * MIB, True, id="eq-same-int"),
        pytest.param(operator.eq, 50.0 * MIB, True, id="eq-same-float"),
        pytest.param(operator.eq, 50, False, id="eq-int-is-bytes"),
        pytest.param(operator.eq, None, False, id="eq-none"),
        pytest.param(operator.ne, "50 MB", False, id="ne-same-text"),
        pytest.param(operator.ne, "51 MB", True, id="ne-other-text"),
        pytest.param(operator.ne, None, True, id="ne-none"),
    ],
)
def test_size_compares(compare, other, answer) -> None:
    """A size compares with texts as sizes and with numbers as bytes."""
    assert answer is compare(Size(50 * MIB), other)


@pytest.mark.parametrize("other", [None, [], object()], ids=["none", "list", "object"])
def test_size_has_no_order_with_anything_else(other: object) -> None:
    """A size is neither below nor above what is no size at all."""
    with pytest.raises(TypeError):
        Size(1) < other  # noqa: B015  it raises


def test_size_refuses_a_text_that_is_no_size() -> None:
    """An assertion with a misspelt limit fails loudly instead of being false."""
    with pytest.raises(ConfigError, match="'50 bananas' is not a size"):
        Size(1) < "50 bananas"  # noqa: B015  it raises


@pytest.mark.parametrize(
    "write",
    [str, repr, "{}".format, "%s".__mod__],
    ids=["str", "repr", "format", "percent"],
)
def test_size_reads_as_a_size(write) -> None:
    """A size prints in words wherever it is turned into text."""
    assert write(Size(50 * MIB)) == "50.0 MiB"


def test_size_is_a_number() -> None:
    """A size adds, indexes and hashes as the number of bytes it is."""
    assert Size(50) + 1 == 51
    assert {50: "found"}[Size(50)] == "found"
    assert f"{Size(50):.2f}" == "50.00"
