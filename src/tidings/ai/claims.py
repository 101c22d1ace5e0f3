"""What a text states that can be wrong: links, dates, times, prices, numbers and the like, each with its meaning.

Two writings of one thing are the same claim: "3pm" and "15:00", "Oct 17" and "the 17th of October", "$1,200" and
"twelve hundred dollars". The same reader reads the facts and the answers, so what stands in a fact is found
in an answer. It reads English.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass
from decimal import Decimal

from tidings.ai import moments
from tidings.ai.moments import Reading
from tidings.ai.number_words import with_digits


@dataclass(frozen=True, slots=True)
class Claim:
    """`said` are the words of the text from `start` to `end`."""

    kind: str
    value: Hashable
    said: str
    start: int
    end: int


def claims(text: str) -> list[Claim]:
    """Every claim in `text`, in its order."""
    digits = with_digits(text)
    rest = digits.text
    found = []
    for pattern, read in _RULES:
        for match in list(pattern.finditer(rest)):
            readings = list(read(match))
            if not readings:
                continue
            start, end = digits.origin(*match.span())
            found += [Claim(kind, value, text[start:end].strip(), start, end) for kind, value in readings]
            rest = rest[: match.start()] + "\0" * len(match.group()) + rest[match.end() :]
    return sorted(found, key=lambda claim: (claim.start, claim.end))


def link_readings(address: str) -> list[str]:
    """An address as it may be written: with its scheme, and without it. Its host's case does not matter."""
    scheme, mark, rest = address.rpartition("://")
    host, slash, path = rest.partition("/")
    bare = (host.lower() + slash + path).rstrip("/")
    return [scheme.lower() + mark + bare, bare] if mark else [bare]


NUMBER = r"(?:[0-9]{1,3}(?:,[0-9]{3})+(?:\.[0-9]+)?|[0-9]+(?:\.[0-9]+)?)"
_MULTIPLES = {"k": 1000, "m": 1_000_000, "bn": 1_000_000_000}

_SYMBOLS = {
    "us$": "USD", "c$": "CAD", "ca$": "CAD", "a$": "AUD", "au$": "AUD", "nz$": "NZD", "hk$": "HKD", "r$": "BRL",
    "$": "$", "€": "EUR", "£": "GBP", "¥": "¥", "₹": "INR", "₩": "KRW", "₽": "RUB", "₺": "TRY", "₪": "ILS",
    "฿": "THB", "₫": "VND", "₴": "UAH", "₦": "NGN", "₱": "PHP", "zł": "PLN", "kč": "CZK",
}  # fmt: skip
_CODES = (
    "USD|CAD|AUD|NZD|HKD|SGD|MXN|BRL|EUR|GBP|JPY|CNY|INR|KRW|RUB|TRY|ILS|THB|VND|UAH|NGN|PHP|PLN|CZK|CHF|SEK|NOK|DKK"
    "|ZAR|AED|SAR|HUF|RON"
)
_WORDS = {
    "dollar": "$", "dollars": "$", "buck": "$", "bucks": "$", "euro": "EUR", "euros": "EUR", "pound": "GBP",
    "pounds": "GBP", "quid": "GBP", "yen": "¥", "yuan": "CNY", "rupee": "INR", "rupees": "INR", "franc": "CHF",
    "francs": "CHF", "peso": "peso", "pesos": "peso", "cent": "cent", "cents": "cent", "pence": "cent", "¢": "cent",
}  # fmt: skip
_WIDER = dict.fromkeys(("USD", "CAD", "AUD", "NZD", "HKD", "SGD", "MXN"), "$") | {"JPY": "¥", "CNY": "¥"}

_SYMBOL = "|".join(re.escape(symbol) for symbol in sorted(_SYMBOLS, key=len, reverse=True))
_CURRENCY = rf"{_SYMBOL}|\b(?:{_CODES})\b"
_PRICE = re.compile(
    rf"(?P<before>{_CURRENCY})\s?(?P<first>{NUMBER})(?P<multiple>k|m|bn)?\b"
    rf"|(?<![\w.,])(?P<second>{NUMBER})(?P<multiple2>k|m|bn)?[\s-]?(?P<after>{_CURRENCY}|¢|(?:{'|'.join(_WORDS)})\b)",
    re.IGNORECASE,
)


def currencies(name: str) -> set[str]:
    """What a currency's symbol, code or word may stand for: USD is also written $, but $ is not always USD."""
    found = _SYMBOLS.get(name.lower()) or _WORDS.get(name.lower()) or name.upper()
    return {found, _WIDER.get(found, found)}


def currency_names(text: str) -> Iterator[str]:
    """The currencies that stand in a text, wherever they stand."""
    return (match.group() for match in re.finditer(_CURRENCY, text, re.IGNORECASE))


def _price(match: re.Match[str]) -> Iterator[Reading]:
    amount = _decimal(match["first"] or match["second"])
    amount *= _MULTIPLES.get((match["multiple"] or match["multiple2"] or "").lower(), 1)
    name = match["before"] or match["after"]
    yield "price", (amount, _SYMBOLS.get(name.lower()) or _WORDS.get(name.lower()) or name.upper())


_UNITS = {
    "second": "seconds?|secs?", "minute": "minutes?|mins?", "hour": "hours?|hrs?|h", "day": "days?",
    "night": "nights?", "week": "weeks?|wks?", "month": "months?", "year": "years?|yrs?", "mile": "miles?|mi",
    "km": "kms?|kilomet(?:er|re)s?", "meter": "met(?:er|re)s?", "foot": "foot|feet|ft",
    "kg": "kgs?|kilos?|kilograms?", "lb": "lbs?",
}  # fmt: skip
_UNIT = "|".join(f"(?P<{unit}>{words})" for unit, words in _UNITS.items())
_QUANTITY = re.compile(rf"(?<![\w.,])(?P<number>{NUMBER})[\s-]?(?:{_UNIT})\b", re.IGNORECASE)
_SINGLE = re.compile(
    r"(?<!\bhave )(?<!\bgot )(?<!\bspare )\b(?:a|an)\s(?P<unit>second|minute|hour|day|night|week|month|year)\b", re.I
)


def _quantity(match: re.Match[str]) -> Iterator[Reading]:
    unit = next(unit for unit in _UNITS if match[unit])
    yield "quantity", (_decimal(match["number"]), unit)


def _code(match: re.Match[str]) -> Iterator[Reading]:
    yield "code", match.group().casefold()


def _phone(match: re.Match[str]) -> Iterator[Reading]:
    digits = re.sub(r"[^0-9]", "", match.group())
    plain = match.group().isdigit()
    if 7 <= len(digits) <= 15 and not (plain and len(digits) < 10):
        yield "phone", digits


def _decimal(number: str) -> Decimal:
    return Decimal(number.replace(",", "")).normalize()


def _word(kind: str) -> Callable[[re.Match[str]], Iterator[Reading]]:
    def read(match: re.Match[str]) -> Iterator[Reading]:
        yield kind, " ".join(match.group().casefold().split())

    return read


_END = r"[^\s<>\"'“”‘’)\]}.,;:!?…]"
_LINK = re.compile(
    rf"\b[a-z][a-z0-9+.-]{{1,20}}://\S*{_END}/?"
    rf"|(?<![\w-])(?<!\w\.)(?:[\w-]+\.)+[^\W\d_]{{2,24}}(?::[0-9]+)?(?:/(?:\S*{_END})?/?|\b(?!@))"
    rf"|\b[0-9]{{1,3}}(?:\.[0-9]{{1,3}}){{3}}\b(?:[:/]\S*{_END}/?)?"
    r"|\b\w+\s?(?:\(dot\)|\[dot\]|\[\.\]|\sdot\s)\s?(?:com|org|net|io|co|me|app|info)\b"
    r"|\blocalhost\b\S*",
    re.IGNORECASE,
)
_MAIL = re.compile(
    r"(?<![\w.+%-])[\w.+%-]+@[\w-]+(?:\.[\w-]+)+|(?<![\w.+-])[\w.+-]+\s?(?:\(at\)|\[at\])\s?[\w.-]+|(?<!\w)@\w+(?:\.\w+)*",
    re.I,
)
_PROMISES = re.compile(  # what costs money or changes plans when it is not so
    r"(?<!feel )\bfree\b|\b(?:complimentary|gratis|discount(?:s|ed)?|refund(?:s|ed|able)?|guarantee(?:d|s)?|rebates?"
    r"|cash\s?back|vouchers?|coupons?|bonus(?:es)?|gifts?|prizes?|winners?|won|sale|cheaper|cheapest|exclusive"
    r"|limited|last chance|sold out|cancel(?:s|led|ed|ing|lation)?|postponed?|rescheduled?|delayed|overdue"
    r"|urgent(?:ly)?|immediately|expir(?:e|es|ed|ing)|deadlines?|approved|confirmed|paid|unpaid|twice|thrice|double"
    r"|triple|half|couple|dozens?|several|few|hundreds|thousands|millions)\b",
    re.IGNORECASE,
)
_PERCENT = re.compile(rf"(?<![\w.,])({NUMBER})\s?-?(?:%|percent\b|per cent\b|pct\b|percentage points?\b)", re.I)

_RULES: tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], Iterator[Reading]]], ...] = (
    (_MAIL, lambda match: iter([("link", match.group().lower())])),
    (_LINK, lambda match: iter([("link", link_readings(match.group())[0])])),
    *moments.RULES,
    (_PRICE, _price),
    (re.compile(r"(?<![\w.,(+-])\+?\(?[0-9][0-9 ().-]{5,30}[0-9](?!\w)"), _phone),
    (_PERCENT, lambda match: iter([("percent", _decimal(match.group(1)))])),
    (_QUANTITY, _quantity),
    (_SINGLE, lambda match: iter([("quantity", (Decimal(1), match["unit"].lower()))])),
    (re.compile(r"\b([0-9]+)(?:st|nd|rd|th)\b", re.I), lambda match: iter([("ordinal", int(match.group(1)))])),
    (re.compile(r"(?<![\w-])(?=[\w-]*[0-9])(?=[\w-]*[a-z])-*\w+(?:-\w+)*\b", re.I), _code),
    (re.compile(r"\b[0-9]+(?:\.[0-9]+){2,}\b|\b[0-9]+(?:[:/][0-9]+)+\b"), _code),
    (re.compile(NUMBER), lambda match: iter([("number", _decimal(match.group()))])),
    (_PROMISES, _word("promise")),
)
