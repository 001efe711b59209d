"""Tests of sizes and shares: what people write, to bytes and back."""

from __future__ import annotations

import math
import operator

import pytest

from pytest_memguard.errors import ConfigError, quoted
from pytest_memguard.sizes import GIB, KIB, MIB, TIB, format_mib, format_number, format_size
from pytest_memguard.units import (
    LARGEST,
    MOST,
    Count,
    Size,
    as_number,
    parse_bytes,
    parse_count,
    parse_share,
    parse_size,
)

HINT = "write a number of MiB (200) or a text with a unit ('512 KB', '200 MB', '1.5 GiB')"

SIZES = [
    pytest.param(200, 200 * MIB, id="bare-int"),
    pytest.param(1.5, 1536 * KIB, id="bare-float"),
    pytest.param(0, 0, id="zero"),
    pytest.param(None, 0, id="none"),
    pytest.param(1e-3, 1048, id="float-with-exponent"),
    pytest.param(1e12, 10**12 * MIB, id="large-float"),
    pytest.param(f"{LARGEST} B", LARGEST, id="largest"),
    pytest.param("8388607 TB", 8388607 * TIB, id="largest-in-tib"),
    pytest.param(999_999_999_999, 999_999_999_999 * MIB, id="twelve-digits"),
    pytest.param("0000000000000000000000000200", 200 * MIB, id="leading-zeros"),
    pytest.param("1." + "9" * 5000 + " B", 1, id="more-decimals-than-count"),
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
    pytest.param("\uff11\uff10\uff10", id="full-width-digits"),
    pytest.param("\uff11\uff10\uff10 MB", id="full-width-digits-with-unit"),
    pytest.param("1e30 GB", id="exponent-with-unit"),
    pytest.param("1e400", id="exponent-out-of-range"),
    pytest.param("inf", id="infinity-text"),
    pytest.param("nan MB", id="nan-text"),
    pytest.param(-math.inf, id="negative-infinity"),
    pytest.param(Size(-5), id="negative-size"),
    pytest.param("\u0663", id="other-digits-alone"),
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

TOO_LARGE = [
    pytest.param(10**13, "10000000000000", id="int"),
    pytest.param(1e20, "1e+20", id="float"),
    pytest.param(1e308, "1e+308", id="huge-float"),
    pytest.param(10**400, f"1{'0' * 59}... (401 characters)", id="int-beyond-floats"),
    pytest.param(10**5000, "a value of type int", id="int-beyond-texts"),
    pytest.param("9" * 5000, f"'{'9' * 59}... (5002 characters)", id="text-of-many-digits"),
    pytest.param("8388608 TB", "'8388608 TB'", id="first-in-tib"),
    pytest.param(f"{LARGEST + 1} B", "'9223372036854775808 B'", id="first-in-bytes"),
    pytest.param(f"{LARGEST}.5 B", "'9223372036854775807.5 B'", id="half-a-byte-more"),
    pytest.param(Size(LARGEST + 1), "8589934592.00 GiB", id="size"),
]

TOO_SMALL = [
    pytest.param("0.5 B", id="half-a-byte"),
    pytest.param("0.0001 KB", id="tenth-of-a-byte"),
    pytest.param(1e-9, id="float"),
    pytest.param(5e-324, id="smallest-float"),
    pytest.param(f"0.{'0' * 100}1 TB", id="many-decimals"),
]

BYTES = [
    pytest.param(512, 512, id="int"),
    pytest.param("512", 512, id="text"),
    pytest.param(" 512 ", 512, id="blanks"),
    pytest.param("512.", 512, id="point-at-the-end"),
    pytest.param(512.0, 512, id="float"),
    pytest.param("2 KB", 2 * KIB, id="unit"),
    pytest.param(0, 0, id="zero"),
    pytest.param(Size(40), 40, id="size"),
    pytest.param(LARGEST, LARGEST, id="largest"),
]

NO_BYTES = [
    pytest.param(None, "", id="none"),
    pytest.param(True, "", id="true"),
    pytest.param("many", "", id="word"),
    pytest.param(-1, "", id="negative"),
    pytest.param(math.inf, "", id="infinity"),
    pytest.param("\uff11\uff10\uff10", "", id="full-width-digits"),
    pytest.param(LARGEST + 1, ", it is 8 EiB (2**63 bytes) or more", id="too-large"),
    pytest.param(0.5, ", it is less than a byte", id="less-than-a-byte"),
]

COUNTS = [
    pytest.param(1, 1, id="int"),
    pytest.param("12", 12, id="text"),
    pytest.param(" 007 ", 7, id="zeros-and-blanks"),
    pytest.param(MOST, MOST, id="largest"),
]

NO_COUNTS = [
    pytest.param(0, "", id="zero"),
    pytest.param(-1, "", id="negative"),
    pytest.param("+1", "", id="sign"),
    pytest.param("1_000", "", id="underscore"),
    pytest.param(3.0, "", id="float"),
    pytest.param(True, "", id="true"),
    pytest.param(None, "", id="none"),
    pytest.param([1], "", id="list"),
    pytest.param("\uff11\uff10\uff10", "", id="full-width-digits"),
    pytest.param("\u00b2", "", id="superscript"),
    pytest.param(MOST + 1, " to 1000000000", id="too-large"),
    pytest.param(10**400, " to 1000000000", id="int-beyond-floats"),
    pytest.param("9" * 5000, " to 1000000000", id="text-of-many-digits"),
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
    pytest.param(10**400, id="int-beyond-floats"),
    pytest.param("9" * 5000, id="text-of-many-digits"),
    pytest.param("\uff18\uff10%", id="full-width-digits"),
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
    pytest.param(MIB - KIB / 20, "1.0 MiB", id="half-way-to-1024-kib"),
    pytest.param(MIB, "1.0 MiB", id="first-in-mib"),
    pytest.param(222_717_543, "212.4 MiB", id="mib"),
    pytest.param(1000 * MIB, "1000.0 MiB", id="many-mib"),
    pytest.param(1_073_689_395, "1023.9 MiB", id="last-in-mib"),
    pytest.param(1_073_689_395.5, "1.00 GiB", id="would-round-to-1024-mib"),
    pytest.param(GIB - MIB / 20, "1.00 GiB", id="half-way-to-1024-mib"),
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
    """A text that is not wholly a size is refused, quoted, with a hint."""
    with pytest.raises(ConfigError) as caught:
        parse_size(written)
    assert f"{written!r} is not a size: {HINT}" == str(caught.value)


@pytest.mark.parametrize(("written", "shown"), TOO_LARGE)
def test_parse_size_refuses_what_no_machine_has(written: object, shown: str) -> None:
    """A size of 2**63 bytes or more is refused, and quoted within a line."""
    with pytest.raises(ConfigError) as caught:
        parse_size(written)
    assert f"{shown} is not a size, it is 8 EiB (2**63 bytes) or more: {HINT}" == str(
        caught.value
    )


@pytest.mark.parametrize("written", TOO_SMALL)
def test_parse_size_refuses_less_than_a_byte(written: object) -> None:
    """A size that would round down to nothing is refused: 0 switches a budget off."""
    with pytest.raises(ConfigError) as caught:
        parse_size(written)
    assert str(caught.value) == f"{written!r} is not a size, it is less than a byte: {HINT}"


@pytest.mark.parametrize(("written", "size"), BYTES)
def test_parse_bytes(written: object, size: int) -> None:
    """A bare number is bytes, with or without a point."""
    assert size == parse_bytes(written)


@pytest.mark.parametrize(("written", "why"), NO_BYTES)
def test_parse_bytes_refuses(written: object, why: str) -> None:
    """A text that is no number of bytes is refused, quoted, with a hint of its own."""
    with pytest.raises(ConfigError) as caught:
        parse_bytes(written)
    assert str(caught.value) == (
        f"{written!r} is not a size{why}: write a number of bytes (512) or a text ('2 KB')"
    )


@pytest.mark.parametrize(
    ("written", "number"),
    [
        pytest.param(5, 5.0, id="int"),
        pytest.param(" 0.5 ", 0.5, id="text"),
        pytest.param("1e3", 1000.0, id="exponent"),
        pytest.param("inf", math.inf, id="infinity"),
        pytest.param("1_000", None, id="underscore"),
        pytest.param("\uff15", None, id="full-width-digit"),
        pytest.param(10**400, None, id="int-beyond-floats"),
        pytest.param("soon", None, id="word"),
        pytest.param(True, None, id="true"),
        pytest.param([5], None, id="list"),
    ],
)
def test_as_number(written: object, number: float | None) -> None:
    """A number is written in plain digits; anything else is none."""
    assert number == as_number(written)


@pytest.mark.parametrize(("written", "count"), COUNTS)
def test_parse_count(written: object, count: int) -> None:
    """A number of things is whole, from 1 on."""
    assert count == parse_count(written, "calls")


@pytest.mark.parametrize(("written", "most"), NO_COUNTS)
def test_parse_count_refuses(written: object, most: str) -> None:
    """A text that is no whole number, or too large a one, is refused with a hint."""
    with pytest.raises(ConfigError) as caught:
        parse_count(written, "calls")
    assert str(caught.value) == (
        f"{quoted(written)} is not a number of calls: write a whole number from 1{most}"
    )


def test_a_count_may_begin_at_zero() -> None:
    """A count that may be left out altogether starts from 0."""
    assert parse_count("0", "measurements", least=0) == 0
    with pytest.raises(ConfigError, match=r"write a whole number from 0$"):
        parse_count("-1", "measurements", least=0)


@pytest.mark.parametrize(("written", "share"), SHARES)
def test_parse_share(written: object, share: float | None) -> None:
    """A share is a number below 1 or a percentage; none is not the same as 0."""
    assert share == parse_share(written)


@pytest.mark.parametrize("written", NO_SHARES)
def test_parse_share_refuses(written: object) -> None:
    """A text that is no share below 1 is refused, quoted, with a hint."""
    with pytest.raises(ConfigError) as caught:
        parse_share(written)
    assert (
        f"{quoted(written)} is not a share of the budget: write one below 1, as 0.8 or '80%'"
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
    ("value", "digits", "words"),
    [
        pytest.param(0, 3, "0", id="nothing"),
        pytest.param(1 / 3, 3, "0.333", id="part"),
        pytest.param(12.45, 2, "12", id="two-digits"),
        pytest.param(99.96, 3, "100", id="rounded-up"),
        pytest.param(1340.2, 2, "1,340", id="large"),
        pytest.param(-51_200, 4, "-51,200", id="negative"),
    ],
)
def test_format_number(value: float, digits: int, words: str) -> None:
    """A number has a few digits if it is small, and never an exponent."""
    assert words == format_number(value, digits)


@pytest.mark.parametrize(
    ("compare", "other", "answer"),
    [
        pytest.param(operator.lt, "50 MB", False, id="lt-same-text"),
        pytest.param(operator.lt, "51 MB", True, id="lt-larger-text"),
        pytest.param(operator.lt, 50 * MIB + 1, True, id="lt-larger-int"),
        pytest.param(operator.le, "50 MB", True, id="le-same-text"),
        pytest.param(operator.le, "51 MB", True, id="le-larger-text"),
        pytest.param(operator.le, 50 * MIB - 0.5, False, id="le-smaller-float"),
        pytest.param(operator.gt, "49 MB", True, id="gt-smaller-text"),
        pytest.param(operator.gt, Size(50 * MIB), False, id="gt-same-size"),
        pytest.param(operator.gt, "51 MB", False, id="gt-larger-text"),
        pytest.param(operator.ge, "50 MB", True, id="ge-same-text"),
        pytest.param(operator.ge, "49 MB", True, id="ge-smaller-text"),
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
    ("compare", "other", "answer"),
    [
        pytest.param(operator.lt, 6, True, id="number"),
        pytest.param(operator.le, "5", True, id="text"),
        pytest.param(operator.gt, " 5 ", False, id="text-with-blanks"),
        pytest.param(operator.eq, "5", True, id="equal"),
    ],
)
def test_count_compares(compare, other, answer) -> None:
    """A number of things compares with numbers, and with texts of them."""
    assert answer is compare(Count(5), other)


@pytest.mark.parametrize("compare", [operator.lt, operator.ge, operator.eq])
@pytest.mark.parametrize("size", ["50 MB", "1.5", "-1", ""])
def test_count_refuses_a_size(compare, size) -> None:
    """A size is no number of things, which one sentence says."""
    with pytest.raises(ConfigError, match=r"metric does not count bytes: write a whole number"):
        compare(Count(5), size)


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
