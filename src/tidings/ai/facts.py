"""The facts of a brief, read once: what an answer may claim, whom it may name."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, time
from decimal import Decimal
from functools import cached_property
from itertools import pairwise
from typing import Any

from tidings.ai.base import Brief
from tidings.ai.claims import Claim, claims, currencies, currency_names, link_readings
from tidings.ai.words import Word, words

LONGEST_FACT = 4_000
"""Characters of one value that are read. What stands behind them is no fact: the answer is then refused."""


@dataclass(frozen=True)
class Facts:
    """Texts, each with what it claims. Neighbouring texts of one mapping may be read on: a first and a last name."""

    texts: tuple[str, ...]
    keyed: tuple[str, ...] = field(default=())  # numbers beside the name of their field: "30 minutes"

    def support(self, claim: Claim) -> bool:
        """Whether the facts say what a text claims, in whatever writing."""
        value: Any = claim.value
        match claim.kind:
            case "date":
                year, month, day = value
                return any(value == known if year else (month, day) == known[1:] for known in self._of("date"))
            case "month":
                year, month = value
                known_months = self._of("month") | {known[:2] for known in self._of("date")}
                return any(value == known if year else month == known[1] for known in known_months)
            case "time":
                return self._support_time(*value)
            case "price":
                amount, currency = value
                in_code = currency in self._currencies and amount in self._of("number")
                return in_code or any(amount == a and currency in currencies(c) for a, c in self._of("price"))
            case "number":
                years = {known[0] for known in self._of("date") | self._of("month")}
                return value in self._of("number") or value in years
            case "ordinal":
                return value in self._of("ordinal") or value in {known[2] for known in self._of("date")}
            case "phone":
                return any(_same_number(value, known) for known in self._of("phone"))
            case "link":
                return value in self._links
            case kind:
                return value in self._of(kind)

    @cached_property
    def claims(self) -> tuple[Claim, ...]:
        return tuple(claim for text in (*self.texts, *self.keyed) for claim in claims(text))

    @cached_property
    def words(self) -> frozenset[str]:
        """Every word as it stands, without those of links."""
        return frozenset(part for run in self._runs for word in run for part in (word.text, *word.parts))

    @cached_property
    def folded(self) -> frozenset[str]:
        return frozenset(word.casefold() for word in self.words)

    @cached_property
    def characters(self) -> frozenset[str]:
        return frozenset("".join(self.texts))

    @cached_property
    def neighbours(self) -> frozenset[tuple[str, str]]:
        """Pairs of words that stand side by side, or with one word between them, as a middle name does."""
        found = set()
        for run in self._runs:
            folded = [word.text.casefold() for word in run]
            found |= set(pairwise(folded)) | set(zip(folded, folded[2:], strict=False))
        for before, after in pairwise(self._runs):
            if before and after:
                found.add((before[-1].text.casefold(), after[0].text.casefold()))
        return frozenset(found)

    @cached_property
    def _runs(self) -> list[list[Word]]:
        return [words(text, [claim for claim in claims(text) if claim.kind == "link"]) for text in self.texts]

    @cached_property
    def _links(self) -> frozenset[str]:
        return frozenset(form for link in self._of("link") for form in link_readings(link))

    @cached_property
    def _currencies(self) -> frozenset[str]:
        return frozenset(c for text in self.texts for name in currency_names(text) for c in currencies(name))

    @cached_property
    def _by_kind(self) -> dict[str, set[Any]]:
        found: dict[str, set[Any]] = {}
        for claim in self.claims:
            found.setdefault(claim.kind, set()).add(claim.value)
        return found

    def _of(self, kind: str) -> set[Any]:
        return self._by_kind.get(kind, set())

    def _support_time(self, hour: int, minute: int, known: bool) -> bool:
        if known:
            # 10:30 to 12:59 are written alike on both kinds of clock; 3:00 may be the middle of the night.
            return any((h, m) == (hour, minute) and (k or h >= 10) for h, m, k in self._of("time"))
        return any((h % 12, m) == (hour % 12, minute) for h, m, _ in self._of("time"))


def facts_of(brief: Brief) -> Facts:
    """What an answer to `brief` may state."""
    values = [("", brief.template), *_leaves(brief.facts), *_leaves(brief.hints)]
    texts = tuple(plain(text[:LONGEST_FACT]) for _, text in values)
    keyed = (f"{text} {key}" for key, text in values if key and re.fullmatch(r"[0-9.]+", text))
    return Facts(texts, tuple(keyed))


def plain(text: str) -> str:
    """`text` in Unicode's composed form, with straight apostrophes and simple spaces."""
    composed = unicodedata.normalize("NFC", text)
    return re.sub("[\u2019\u2018\u02bc]", "'", re.sub("[\u00a0\u202f\u2009]", " ", composed))


def _leaves(value: Any, key: str = "") -> Iterator[tuple[str, str]]:
    match value:
        case None | bool():
            return
        case Mapping():
            for name, item in value.items():
                yield from _leaves(item, str(name))
        case str():
            yield "", value
        case Decimal() | int() | float():
            # The last word of "duration_minutes" is what the number counts.
            yield re.split(r"[_\W]+|(?<=[a-z])(?=[A-Z])", key)[-1], str(value)
        case date() | time():
            yield "", value.isoformat()
        case Iterable():
            for item in value:
                yield from _leaves(item, key)
        case _:
            yield "", str(value)


def _same_number(one: str, other: str) -> bool:
    shorter, longer = sorted((one, other), key=len)
    return shorter == longer or (len(shorter) >= 10 and longer.endswith(shorter))
