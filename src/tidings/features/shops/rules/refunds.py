"""Refunds: what went back, in which currency, and what is left of an order after all of them.

What a shop has told of an order's refunds is kept as JSON by the refund's id, so that a refund told twice, or by the
order as well, counts once: `{"929361464001": {"amount": "34.90", "lines": {"14801234567802": [1, 1]}}}`. The amount
is in the shop's currency; of each line how many pieces came back, and how many were ordered.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from tidings.features.shops.rules import reading

_CENT = Decimal("0.01")


@dataclass(frozen=True, slots=True)
class ReturnedLine:
    """One line of a refund; `ordered` is how many pieces its order has."""

    id: str
    title: str | None
    quantity: int
    ordered: int | None


@dataclass(frozen=True, slots=True)
class Refund:
    """Money that went back, what for, and when.

    `amount` is the sum of the refund's successful transactions in the buyer's `currency`; None when it names none.
    `rate` is how much of `shop_currency` one of that is, as its lines tell.
    """

    id: str | None
    amount: Decimal | None
    currency: str | None
    lines: tuple[ReturnedLine, ...] = ()
    rate: Decimal | None = None
    shop_currency: str | None = None

    def amount_in(self, currency: str | None) -> Decimal | None:
        """The amount in the shop's currency; None where nobody tells the rate."""
        if self.amount is None or currency is None or self.currency in (None, currency):
            return self.amount
        if self.rate is None or self.shop_currency != currency:
            return None
        return (self.amount * self.rate).quantize(_CENT)


def read_refund(raw: Mapping[str, Any]) -> Refund:
    """The refund of refunds/create, or one of those that an order names."""
    paid_back = [
        transaction
        for transaction in reading.objects(raw.get("transactions"))
        if _said(transaction, "kind") == "refund" and _said(transaction, "status") == "success"
    ]
    amounts = [each for transaction in paid_back if (each := reading.amount(transaction.get("amount"))) is not None]
    lines = reading.objects(raw.get("refund_line_items"))
    rate, shop_currency = _rate(lines)
    return Refund(
        id=reading.own_id(raw),
        amount=sum(amounts, Decimal()) if amounts else None,
        currency=reading.first(*(reading.currency(transaction.get("currency")) for transaction in paid_back)),
        lines=tuple(_lines(lines)),
        rate=rate,
        shop_currency=shop_currency,
    )


def note_refunds(known: Mapping[str, Any] | None, refunds: Iterable[Refund], currency: str | None) -> dict[str, Any]:
    """What is kept of an order's refunds, with those that were told now."""
    kept = dict(known or {})
    for refund in refunds:
        key = refund.id or "?"
        before = kept.get(key, {})
        amount = refund.amount_in(currency)
        kept[key] = {
            "amount": before.get("amount") if amount is None else str(amount),
            "lines": {line.id: [line.quantity, line.ordered] for line in refund.lines} or before.get("lines", {}),
        }
    return kept


def refunded(kept: Mapping[str, Any] | None) -> Decimal:
    """What all refunds of an order come to, in the shop's currency; a negative one is none."""
    amounts = (reading.amount(one.get("amount")) for one in (kept or {}).values())
    return sum((each for each in amounts if each is not None and each > 0), Decimal())


def returned_lines(kept: Mapping[str, Any] | None) -> frozenset[str]:
    """The ids of the lines of which every piece came back."""
    pieces: Counter[str] = Counter()
    ordered: dict[str, int] = {}
    for one in (kept or {}).values():
        for line, (quantity, of_order) in one["lines"].items():
            pieces[line] += quantity
            ordered[line] = max(ordered.get(line, 0), of_order or 0)
    return frozenset(line for line, number in pieces.items() if number > 0 and number >= ordered[line])


def is_paid_back(kept: Mapping[str, Any] | None, total: Decimal | None) -> bool:
    """Whether all of an order's money went back."""
    return total is not None and 0 < total <= refunded(kept)


def without_returned(
    order: Mapping[str, Any], kept: Mapping[str, Any] | None, total: Decimal | None
) -> Mapping[str, Any] | None:
    """An order's variables without the lines that came back; None when nothing is left of it."""
    if is_paid_back(kept, total):
        return None
    gone = returned_lines(kept)
    lines = order.get("line_items") or []
    left = [line for line in lines if line.get("id") not in gone]
    if len(left) == len(lines):
        return order
    return {**order, **of_lines(left)} if left else None


def of_lines(lines: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """What is said of lines together; the first item is one that travels, where one does."""
    lines = list(lines)
    titles = [line["title"] for line in lines if line["title"]]
    sent = [line["title"] for line in lines if line["title"] and line.get("ships") is not False]
    return {
        "line_items": lines,
        "item_count": sum(line["quantity"] or 0 for line in lines) if lines else None,
        "first_item": next(iter([*sent, *titles]), None),
        "titles": titles,
        "skus": [line["sku"] for line in lines if line["sku"]],
    }


def _lines(lines: Iterable[Mapping[str, Any]]) -> Iterator[ReturnedLine]:
    for line in lines:
        item = reading.mapping(line.get("line_item"))
        line_id = reading.first(reading.identifier(line.get("line_item_id")), reading.identifier(item.get("id")))
        quantity = reading.whole(line.get("quantity"))
        if line_id is None or quantity is None or not 0 < quantity < 10**9:
            continue
        ordered = reading.whole(item.get("quantity"))
        title = reading.first(reading.text(item.get("title")), reading.text(item.get("name")))
        yield ReturnedLine(line_id, title, quantity, ordered if ordered and 0 < ordered < 10**9 else None)


def _said(transaction: Mapping[str, Any], key: str) -> str:
    """A word of Shopify's: small letters over REST, capitals out of GraphQL."""
    return (reading.text(transaction.get(key), 40) or "").lower()


def _rate(lines: Iterable[Mapping[str, Any]]) -> tuple[Decimal | None, str | None]:
    """How much of the shop's money one unit of the buyer's is, and the shop's currency."""
    for line in lines:
        money = reading.mapping(line.get("subtotal_set"))
        own, seen = (reading.mapping(money.get(name)) for name in ("shop_money", "presentment_money"))
        amount, buyers = reading.amount(own.get("amount")), reading.amount(seen.get("amount"))
        if amount is not None and buyers is not None and amount > 0 and buyers > 0:
            return amount / buyers, reading.currency(own.get("currency_code"))
    return None, None
