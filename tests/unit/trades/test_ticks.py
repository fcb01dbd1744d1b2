"""Prices: read digit by digit, against exact decimals."""

from contextlib import suppress
from decimal import Decimal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from trades.ticks import MAX_PRICE_TICKS, TICKS_PER_DOLLAR, format_ticks, parse_price

ticks = st.integers(1, MAX_PRICE_TICKS)


@given(ticks)
def test_what_is_formatted_is_read_back(price_ticks: int) -> None:
    text = format_ticks(price_ticks)
    assert parse_price(text.encode()) == price_ticks
    assert parse_price(f'"{text}"'.encode()) == price_ticks


@given(ticks, st.integers(0, 4), st.booleans())
def test_any_way_to_write_a_price_gives_the_same_ticks(price_ticks: int, places: int, quoted: bool) -> None:
    exact = Decimal(price_ticks) / TICKS_PER_DOLLAR
    for text in (f"{exact:f}", f"{exact:.{places}f}", f"{exact:.4e}", f"{exact.normalize()}", f"{exact:.8f}"):
        if Decimal(text) == exact:
            assert parse_price(f'"{text}"'.encode() if quoted else text.encode()) == price_ticks


@given(st.decimals(allow_nan=False, allow_infinity=False, places=6, min_value=-10, max_value=2_000_000))
@example(Decimal(0))
@example(Decimal("0.00005"))
@example(Decimal(1000000))
@example(Decimal("1000000.0001"))
def test_a_decimal_is_read_exactly_or_refused(price: Decimal) -> None:
    in_ticks = price * TICKS_PER_DOLLAR
    is_valid = in_ticks == in_ticks.to_integral_value() and 0 < in_ticks <= MAX_PRICE_TICKS
    text = f"{price:f}".encode()
    if is_valid:
        assert parse_price(text) == int(in_ticks)
    else:
        with pytest.raises(ValueError, match=r"^must "):
            parse_price(text)


@given(st.binary(max_size=12) | st.text(max_size=12).map(str.encode))
def test_any_bytes_are_read_or_refused(text: bytes) -> None:
    with suppress(ValueError):
        price_ticks = parse_price(text)
        assert 0 < price_ticks <= MAX_PRICE_TICKS
        assert Decimal(text.decode().strip('"')) * TICKS_PER_DOLLAR == price_ticks


@pytest.mark.parametrize(
    ("text", "price_ticks"),
    [
        (b"32", 320_000),
        (b"32.1", 321_000),
        (b'"32.1000"', 321_000),
        (b"32.0001", 320_001),
        (b"0.0001", 1),
        (b"1000000", MAX_PRICE_TICKS),
        (b"1e2", 1_000_000),
        (b"1.5E+1", 150_000),
        (b"321e-4", 321),
        (b"32.10000000", 321_000),
        (b'"007.5"', 75_000),
    ],
)
def test_forms_that_are_right(text: bytes, price_ticks: int) -> None:
    assert parse_price(text) == price_ticks


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        (b"0", "greater than 0"),
        (b"0.0000", "greater than 0"),
        (b"0e0", "greater than 0"),
        (b"-1", "decimal number"),
        (b"+1", "decimal number"),
        (b"1.00001", "at most 4 decimal places"),
        (b"1e-5", "at most 4 decimal places"),
        (b"1000000.0001", r"at most 1000000\.0000"),
        (b"9999999", "at most 1000000.0000"),
        (b"1e99", "at most 1000000.0000"),
        (b'""', "decimal number"),
        (b"null", "decimal number"),
        (b"true", "decimal number"),
        (b"NaN", "decimal number"),
        (b"Infinity", "decimal number"),
        (b".5", "decimal number"),
        (b"5.", "decimal number"),
        (b'"1_000"', "decimal number"),
        (b'"1,000"', "decimal number"),
        (b'" 1"', "decimal number"),
        (b'"0x10"', "decimal number"),
        (b"[1]", "decimal number"),
        ('"٣٢"'.encode(), "decimal number"),
        ('"1²"'.encode(), "decimal number"),
        (b"9" * 400, "decimal number"),
        (b"1e999999999", "decimal number"),
        (b'"\\u0031"', "decimal number"),
        (b'""1""', "decimal number"),
        (b'"1', "decimal number"),
        (b'1.5"', "decimal number"),
        (b'"1e2', "decimal number"),
        (b"100000.000000000000000000000001", "at most 4 decimal places"),
    ],
)
def test_forms_that_are_wrong(text: bytes, rule: str) -> None:
    with pytest.raises(ValueError, match=rule):
        parse_price(text)


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        (0, "0.0000"),
        (1, "0.0001"),
        (-1, "-0.0001"),
        (-10_000, "-1.0000"),
        (-12_345, "-1.2345"),
        (10**22, f"{10**18}.0000"),
    ],
)
def test_amounts_are_written_with_four_places(amount: int, text: str) -> None:
    assert format_ticks(amount) == text


@given(st.integers())
def test_an_amount_is_written_exactly(amount: int) -> None:
    text = format_ticks(amount)
    assert text[-5] == "."
    assert int(text.replace(".", "")) == amount
