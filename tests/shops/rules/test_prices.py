"""What a campaign costs."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidings.errors import InvalidInput
from tidings.features.shops.rules.prices import Load, estimate, loads_by_country, read_price_table
from tidings.messages.contacts.numbers.countries import country_of
from tidings.messages.text.segments import measure

TABLE = read_price_table({"US": "0.0079", "+49": "0.075", "1": 0.01, "gb": Decimal("0.04")}, "0.10", "usd")


@pytest.mark.parametrize(
    ("phone", "country"),
    [
        ("+18105550123", "US"),
        ("+15555550123", "US"),
        ("+14165550123", "CA"),
        ("+18765550123", "JM"),
        ("+491701234567", "DE"),
        ("+447400123456", "GB"),
        ("+77012345678", "KZ"),
        ("+79161234567", "RU"),
        ("+393123456789", "IT"),
        ("+80012345678", "+800"),
        ("+999123456", "unknown"),
        ("not a number", "unknown"),
        ("", "unknown"),
    ],
)
def test_a_number_tells_its_country(phone: str, country: str) -> None:
    assert country_of(phone) == country


@pytest.mark.parametrize(
    ("country", "price"),
    [
        ("US", "0.0079"),
        ("CA", "0.01"),
        ("DE", "0.075"),
        ("GB", "0.04"),
        ("GG", "0.10"),
        ("+800", "0.10"),
        ("unknown", "0.10"),
    ],
)
def test_a_price_is_that_of_the_region_then_of_the_calling_code_then_the_default(country: str, price: str) -> None:
    assert TABLE.price(country) == Decimal(price)


def test_a_campaign_is_counted_and_priced_by_country() -> None:
    text = "Hallo " * 30
    messages = [("+18105550123", 1), ("+18105550124", 2), ("+491701234567", measure(text).segments)]
    found = estimate(loads_by_country(messages), TABLE)
    assert (found.currency, found.messages, found.segments, found.total) == ("USD", 3, 5, Decimal("0.1737"))
    assert [(each.country, each.messages, each.segments, each.price, each.total) for each in found.countries] == [
        ("DE", 1, 2, Decimal("0.075"), Decimal("0.150")),
        ("US", 2, 3, Decimal("0.0079"), Decimal("0.0237")),
    ]


def test_nothing_costs_nothing() -> None:
    found = estimate({}, TABLE)
    assert (found.messages, found.segments, found.total, found.countries) == (0, 0, Decimal(), ())


@pytest.mark.parametrize(
    ("prices", "default", "currency", "field", "said"),
    [
        (
            {"Germany": "0.07"},
            0,
            "USD",
            "prices.Germany",
            "write two letters such as DE or a calling code such as +49",
        ),
        ({"+999": "0.07"}, 0, "USD", "prices.+999", "is not a country"),
        ({"": "0.07"}, 0, "USD", "prices.", "is not a country"),
        ({"DE": "cheap"}, 0, "USD", "prices.DE", "'cheap' is not a price"),
        ({"DE": "-1"}, 0, "USD", "prices.DE", "is not a price"),
        ({}, None, "USD", "default", "is not a price"),
        ({}, 0, "dollars", "currency", "write three letters such as USD"),
    ],
)
def test_a_mistake_in_the_table_is_named(
    prices: dict[str, Any], default: Any, currency: str, field: str, said: str
) -> None:
    with pytest.raises(InvalidInput) as caught:
        read_price_table(prices, default, currency)
    assert caught.value.field == field
    assert said in caught.value.message


@settings(max_examples=100, deadline=None)
@given(st.dictionaries(st.sampled_from(["US", "CA", "DE", "GB", "FR", "+800"]), st.integers(0, 10**6)))
def test_the_total_is_the_sum_of_its_countries_to_the_last_digit(segments: dict[str, int]) -> None:
    found = estimate({country: Load(count, count) for country, count in segments.items()}, TABLE)
    assert found.total == sum((TABLE.price(country) * count for country, count in segments.items()), Decimal())
    assert found.segments == sum(segments.values())
    assert [each.total for each in found.countries] == sorted((each.total for each in found.countries), reverse=True)


@settings(max_examples=100, deadline=None)
@given(st.text("+0123456789 ", max_size=20) | st.text(max_size=8))
def test_no_text_is_too_odd_for_a_country(phone: str) -> None:
    assert country_of(phone)
