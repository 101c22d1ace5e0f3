"""Shopify's money filters for templates: {{ order.total_price | money }} is $1,234.50.

Amounts are written as Unicode CLDR has it for the currency and the shop's locale, with one difference: a text
message is dear in every character that GSM-7 lacks, so spaces are plain ones and a symbol that would not fit (₹)
gives way to the currency's code (INR).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping
from decimal import Decimal
from functools import lru_cache
from types import MappingProxyType
from typing import Any

from babel import Locale, UnknownLocaleError
from babel.numbers import format_currency, get_currency_symbol, get_decimal_symbol

from tidings.features.shops.rules import reading
from tidings.messages.text.segments import measure, plain
from tidings.messages.text.templates import Sandbox

_CODE_BEFORE_DIGITS = re.compile(r"([A-Z]{3})(?=\d)")


def money(variables: Mapping[str, Any], amount: Any, currency: Any = None) -> str:
    """`$1,234.50`. `currency` is an ISO 4217 code; without it, it is the template's `currency`."""
    return _written(variables, amount, currency, None)


def money_with_currency(variables: Mapping[str, Any], amount: Any, currency: Any = None) -> str:
    """`$1,234.50 USD`."""
    text = money(variables, amount, currency)
    code = _currency(variables, currency) if text else ""
    return text if code in text else f"{text} {code}"


def money_without_currency(variables: Mapping[str, Any], amount: Any, currency: Any = None) -> str:
    """`1,234.50`, with as many decimals as the currency has."""
    return _written(variables, amount, currency, "#,##0.00")


def money_without_trailing_zeros(variables: Mapping[str, Any], amount: Any, currency: Any = None) -> str:
    """`$1,234` for whole amounts and `$1,234.50` for others."""
    point = re.escape(get_decimal_symbol(_locale(variables)))
    return re.sub(rf"(?<=\d){point}0+(?!\d)", "", money(variables, amount, currency))


MONEY_FILTERS: Mapping[str, Callable[..., str]] = MappingProxyType(
    {
        "money": money,
        "money_with_currency": money_with_currency,
        "money_without_currency": money_without_currency,
        "money_without_trailing_zeros": money_without_trailing_zeros,
    }
)
"""For `Sandbox`; they read `currency` and `shop.locale` among the template's variables."""


def shop_templates() -> Sandbox:
    """A sandbox for the texts of shops. It keeps the templates it has compiled, so make one and keep it."""
    return Sandbox(MONEY_FILTERS)


def _written(variables: Mapping[str, Any], value: Any, currency: Any, pattern: str | None) -> str:
    if value is None or (isinstance(value, str) and not value.strip()):
        return ""
    amount = reading.amount(value)
    if amount is None:
        raise ValueError(f"{str(value)[:40]!r} is not an amount")
    return _formatted(amount, _currency(variables, currency), _locale(variables), pattern)


def _formatted(amount: Decimal, currency: str, locale: Locale, pattern: str | None) -> str:
    text = unicodedata.normalize("NFKC", format_currency(amount, currency, format=pattern, locale=locale))
    symbol = unicodedata.normalize("NFKC", get_currency_symbol(currency, locale=locale))
    if measure(symbol).culprits:
        text = text.replace(symbol, currency)
    return _CODE_BEFORE_DIGITS.sub(r"\1 ", plain(text)).strip()


def _currency(variables: Mapping[str, Any], given: Any) -> str:
    code = reading.text(given) or reading.text(variables.get("currency"))
    if code is None:
        raise ValueError("the currency is not known; write it behind the filter, as in: money: 'USD'")
    if not re.fullmatch("[A-Za-z]{3}", code):
        raise ValueError(f"{code[:40]!r} is not a currency; write three letters such as USD")
    return code.upper()


def _locale(variables: Mapping[str, Any]) -> Locale:
    return _known_locale(reading.text(reading.mapping(variables.get("shop")).get("locale"), 35) or "en")


@lru_cache(maxsize=64)
def _known_locale(name: str) -> Locale:
    try:
        return Locale.parse(name.replace("-", "_"))
    except (UnknownLocaleError, ValueError, TypeError):
        return Locale("en")
