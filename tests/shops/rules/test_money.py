"""Amounts as people of a shop's country write them, in characters that a text message has."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shops.rules.payloads import context_of
from support.cases import every_case
from tidings.errors import TemplateError
from tidings.features.shops.rules.money import MONEY_FILTERS, shop_templates
from tidings.features.shops.rules.variables import ShopVariables, variables
from tidings.messages.text.segments import measure

TEMPLATES = shop_templates()


def written(source: str, amount: Any, currency: str | None = "USD", locale: str | None = "en") -> str:
    return TEMPLATES.render(source, {"amount": amount, "currency": currency, "shop": {"locale": locale}})


@every_case(
    ("amount", "currency", "locale", "text"),
    [
        ("1234.5", "USD", "en", "$1,234.50"),
        (Decimal("1234.50"), "USD", "en-US", "$1,234.50"),
        (1234.5, "usd", "en_US", "$1,234.50"),
        (19, "USD", "en", "$19.00"),
        ("0", "USD", "en", "$0.00"),
        ("-3.00", "USD", "en", "-$3.00"),
        ("1234.50", "EUR", "de", "1.234,50 €"),
        ("1234.50", "EUR", "fr-FR", "1 234,50 €"),
        ("1234.50", "CHF", "de-CH", "CHF 1'234.50"),
        ("1234.50", "GBP", "en", "£1,234.50"),
        ("1234.50", "CAD", "en", "CA$1,234.50"),
        ("1234.50", "CAD", "en-CA", "$1,234.50"),
        ("1234", "JPY", "ja", "¥1,234"),
        ("1234.5", "BHD", "en", "BHD 1,234.500"),
        ("1234.50", "INR", "en-IN", "INR 1,234.50"),
        ("1234.50", "PLN", "pl", "1 234,50 PLN"),
        ("1234.50", "SEK", "sv", "1 234,50 kr"),
        ("1234.50", "BRL", "pt-BR", "R$ 1.234,50"),
        ("1234.50", "USD", "klingon", "$1,234.50"),
        ("1234.50", "USD", None, "$1,234.50"),
        ("1234.50", "ABC", "en", "ABC 1,234.50"),
        (None, "USD", "en", ""),
        ("", "USD", "en", ""),
    ],
)
def test_money_is_written_by_currency_and_locale(amount: Any, currency: str, locale: str | None, text: str) -> None:
    assert written("{{ amount | money }}", amount, currency, locale) == text


@pytest.mark.parametrize(
    ("source", "amount", "currency", "locale", "text"),
    [
        ("money_without_currency", "1234.5", "USD", "en", "1,234.50"),
        ("money_without_currency", "1234.5", "EUR", "de", "1.234,50"),
        ("money_without_currency", "1234.5", "JPY", "en", "1,234"),
        ("money_without_trailing_zeros", "10.00", "USD", "en", "$10"),
        ("money_without_trailing_zeros", "10.50", "USD", "en", "$10.50"),
        ("money_without_trailing_zeros", "1000.00", "EUR", "de", "1.000 €"),
        ("money_without_trailing_zeros", "1000", "JPY", "en", "¥1,000"),
        ("money_with_currency", "10", "USD", "en", "$10.00 USD"),
        ("money_with_currency", "10", "CHF", "de-CH", "CHF 10.00"),
        ("money_with_currency", None, "USD", "en", ""),
        ("money: 'EUR'", "10", "USD", "en", "€10.00"),
        ("money: other", "10", "USD", "en", "€10.00"),
        ("times: 2 | money", Decimal("10.10"), "USD", "en", "$20.20"),
        ("plus: 0.1 | money", Decimal("10.10"), "USD", "en", "$10.20"),
    ],
)
def test_the_filters_that_shops_know(source: str, amount: Any, currency: str, locale: str, text: str) -> None:
    variables = {"amount": amount, "currency": currency, "other": "eur", "shop": {"locale": locale}}
    assert TEMPLATES.render(f"{{{{ amount | {source} }}}}", variables) == text


def test_an_event_brings_the_currency_of_its_order_and_the_locale_of_its_shop() -> None:
    found = variables(context_of("orders_create"), ShopVariables("Blossom Soaps", "de-DE", "EUR"))
    assert TEMPLATES.render("{{ order.total_price | money }}", found) == "64,89 $"
    found = variables(context_of("customers_create"), ShopVariables("Blossom Soaps", "de-DE", "EUR"))
    assert TEMPLATES.render("{{ 5 | money }}", found) == "5,00 €"


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("{{ 'ten' | money }}", "money: 'ten' is not an amount"),
        ("{{ 5 | money }}", "money: the currency is not known; write it behind the filter, as in: money: 'USD'"),
        ("{{ 5 | money: 'EURO' }}", "money: 'EURO' is not a currency; write three letters such as USD"),
        ("{{ 5 | money_without_currency: '€' }}", "'€' is not a currency"),
        ("{{ price | money }}", "uses 'price', which this message does not have"),
        ("{{ 5 | monye }}", "there is no filter 'monye'"),
    ],
)
def test_a_mistake_is_a_sentence_for_the_templates_author(source: str, said: str) -> None:
    with pytest.raises(TemplateError) as caught:
        TEMPLATES.render(source, {})
    assert said in str(caught.value)


@settings(max_examples=150, deadline=None)
@given(
    amount=st.decimals(-(10**9), 10**9, places=2),
    currency=st.sampled_from(["USD", "EUR", "JPY", "INR", "ILS", "PLN", "KWD", "VND", "RUB", "NGN", "XXX", "QQQ"]),
    locale=st.sampled_from(["en", "de", "fr", "ar", "ar-EG", "fa", "hi", "he", "ja", "my", "ru", "de-CH", "bn", "?"]),
    name=st.sampled_from(sorted(MONEY_FILTERS)),
)
def test_no_amount_makes_a_message_dearer(amount: Decimal, currency: str, locale: str, name: str) -> None:
    text = written(f"{{{{ amount | {name} }}}}", amount, currency, locale)
    assert not measure(text).culprits
    assert any(character.isdigit() for character in text)


@settings(max_examples=100, deadline=None)
@given(st.decimals(0, 10**9, places=2))
def test_no_cent_is_lost_in_writing(amount: Decimal) -> None:
    text = written("{{ amount | money_without_currency }}", amount)
    assert Decimal(text.replace(",", "")) == amount
