"""What a campaign will cost: SMS by country, and their prices.

The prices are the operator's own, from settings: every provider has its table, and it changes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import phonenumbers
from phonenumbers import COUNTRY_CODE_TO_REGION_CODE

from tidings.errors import InvalidInput
from tidings.features.shops.rules import reading
from tidings.messages.contacts.numbers.countries import country_of


@dataclass(frozen=True, slots=True)
class PriceTable:
    """Prices of one SMS segment in `currency`, by region (DE) or by calling code (+49); the region goes first."""

    prices: Mapping[str, Decimal]
    default: Decimal
    currency: str

    def price(self, country: str) -> Decimal:
        """The price of a segment to a country as `country_of` names it."""
        if country in self.prices:
            return self.prices[country]
        code = phonenumbers.country_code_for_region(country) if country.isalpha() else 0
        return self.prices.get(f"+{code}", self.default)


@dataclass(frozen=True, slots=True)
class Load:
    """How much goes to a country."""

    messages: int
    segments: int


@dataclass(frozen=True, slots=True)
class CountryEstimate:
    """The cost of one country; `price` is that of a segment."""

    country: str
    messages: int
    segments: int
    price: Decimal
    total: Decimal


@dataclass(frozen=True, slots=True)
class Estimate:
    """What all messages cost together, and each country, the dearest first."""

    currency: str
    messages: int
    segments: int
    total: Decimal
    countries: tuple[CountryEstimate, ...]


def read_price_table(prices: Mapping[str, Any], default: Any, currency: str) -> PriceTable:
    """A table from settings: {"US": "0.0079", "+49": "0.075"}. Raises InvalidInput with the name of a bad entry."""
    return PriceTable(
        {_country_key(name): _price(f"prices.{name}", price) for name, price in prices.items()},
        _price("default", default),
        _currency(currency),
    )


def loads_by_country(messages: Iterable[tuple[str, int]]) -> dict[str, Load]:
    """How much goes where. A message is its E.164 number and its segments, as `segments.measure` counts them."""
    counts: defaultdict[str, list[int]] = defaultdict(lambda: [0, 0])
    for phone, segments in messages:
        count = counts[country_of(phone)]
        count[0] += 1
        count[1] += segments
    return {country: Load(*count) for country, count in counts.items()}


def estimate(segments_by_country: Mapping[str, Load], price_table: PriceTable) -> Estimate:
    """The cost of `loads_by_country` by a table of prices, exact to its last digit."""
    countries = [
        CountryEstimate(
            country,
            load.messages,
            load.segments,
            price := price_table.price(country),
            price * load.segments,
        )
        for country, load in segments_by_country.items()
    ]
    return Estimate(
        currency=price_table.currency,
        messages=sum(each.messages for each in countries),
        segments=sum(each.segments for each in countries),
        total=sum((each.total for each in countries), Decimal()),
        countries=tuple(sorted(countries, key=lambda each: (-each.total, each.country))),
    )


def _country_key(name: str) -> str:
    key = name.strip().upper()
    code = key.removeprefix("+")
    if code.isascii() and code.isdigit() and len(code) <= 3 and int(code) in COUNTRY_CODE_TO_REGION_CODE:
        return f"+{int(code)}"
    if key in phonenumbers.SUPPORTED_REGIONS:
        return key
    raise InvalidInput(
        f"prices.{name}", "is not a country; write two letters such as DE or a calling code such as +49"
    )


def _price(field: str, value: Any) -> Decimal:
    price = reading.amount(value)
    if price is None or price < 0:
        raise InvalidInput(field, f'{str(value)[:40]!r} is not a price; write one such as "0.0079"')
    return price


def _currency(code: str) -> str:
    name = code.strip().upper()
    if not (len(name) == 3 and name.isascii() and name.isalpha()):
        raise InvalidInput("currency", f"{code[:40]!r} is not a currency; write three letters such as USD")
    return name
