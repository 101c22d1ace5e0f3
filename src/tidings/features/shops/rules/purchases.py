"""What a shop's event is about: an order or a checkout, a fulfillment.

Amounts are decimals in main units. `total_price` is in the shop's currency, `presentment_total_price` in the one
that the buyer saw (Shopify Admin API, "Order" and "Checkout").
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from tidings.features.shops.rules import reading
from tidings.features.shops.rules.refunds import Refund, read_refund
from tidings.messages.contacts.placeholders import is_placeholder

CALLED_BACK = "cancelled"
_NOT_SENT = (CALLED_BACK, "error", "failure")
_NO_CARRIERS = frozenset({"other", "custom"})
_IMPORTED = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class LineItem:
    """One line; `price` is that of one piece, in the shop's currency.

    `ships`: it travels, unlike a gift card, a download or a tip; so does one that does not say.
    """

    title: str | None
    quantity: int | None
    price: Decimal | None
    sku: str | None
    id: str | None = None
    ships: bool = True


@dataclass(frozen=True, slots=True)
class Purchase:
    """An order or a checkout; times are UTC. `checkout_token` is what a checkout and its order have in common.

    `imported`: it was placed more than a day before the shop had it, as when it was brought over from another system.
    """

    id: str | None
    name: str | None = None
    number: int | None = None
    checkout_token: str | None = None
    total_price: Decimal | None = None
    currency: str | None = None
    presentment_total_price: Decimal | None = None
    presentment_currency: str | None = None
    line_items: tuple[LineItem, ...] = ()
    discount_codes: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    created_at: datetime | None = None
    processed_at: datetime | None = None
    completed_at: datetime | None = None
    cancelled_at: datetime | None = None
    cancel_reason: str | None = None
    financial_status: str | None = None
    fulfillment_status: str | None = None
    gateway: str | None = None
    source_name: str | None = None
    test: bool = False
    abandoned_checkout_url: str | None = None
    order_status_url: str | None = None
    refunds: tuple[Refund, ...] = ()

    @property
    def imported(self) -> bool:
        """Whether the shop had it long after it was placed."""
        return None not in (self.created_at, self.placed_at) and self.placed_at != self.created_at

    @property
    def placed_at(self) -> datetime | None:
        """When it was placed: when the shop had it, or long before."""
        then, created = self.processed_at, self.created_at
        return then if then and created and then < created - _IMPORTED else created


@dataclass(frozen=True, slots=True)
class Fulfillment:
    """A parcel on its way. `ships`: something in it travels."""

    id: str | None
    created_at: datetime | None
    status: str | None
    shipment_status: str | None
    tracking_company: str | None
    tracking_numbers: tuple[str, ...]
    tracking_urls: tuple[str, ...]
    ships: bool = True

    @property
    def is_called_back(self) -> bool:
        """Whether it was cancelled."""
        return self.status == CALLED_BACK

    @property
    def is_sent(self) -> bool:
        """Whether it neither was cancelled nor failed."""
        return self.status not in _NOT_SENT


def read_order(raw: Mapping[str, Any]) -> Purchase:
    """The order of orders/…"""
    return _read(raw, reading.identifier(raw.get("checkout_token")))


def read_checkout(raw: Mapping[str, Any]) -> Purchase:
    """The checkout of checkouts/…"""
    return _read(raw, reading.identifier(raw.get("token")))


def read_fulfilled_order(raw: Mapping[str, Any]) -> Purchase:
    """What a fulfillment tells of its order: id, name, and the lines that are in the parcel.

    A fulfillment's own name is the order's with a number behind it: #1001.1 is the first of order #1001. Lines that
    do not travel are left out where others do.
    """
    name = reading.text(raw.get("name"), 100)
    lines = _line_items(raw.get("line_items"))
    return Purchase(
        id=reading.identifier(raw.get("order_id")),
        name=name.rpartition(".")[0] or name if name else None,
        line_items=tuple(line for line in lines if line.ships) or lines,
    )


def read_deleted(raw: Mapping[str, Any]) -> Purchase:
    """What orders/delete and checkouts/delete tell: which one it was."""
    return Purchase(id=reading.own_id(raw))


def read_refunded_order(raw: Mapping[str, Any]) -> Purchase:
    """What a refund tells of its order: id, and the lines that were returned."""
    lines = [line.get("line_item") for line in reading.objects(raw.get("refund_line_items"))]
    return Purchase(id=reading.identifier(raw.get("order_id")), line_items=_line_items(lines))


def read_fulfillment(raw: Mapping[str, Any]) -> Fulfillment:
    """The fulfillment of fulfillments/…; a single tracking number or address counts with the lists."""
    lines = _line_items(raw.get("line_items"))
    urls = [raw.get("tracking_url"), *_list(raw.get("tracking_urls"))]
    return Fulfillment(
        id=reading.own_id(raw),
        created_at=reading.moment(raw.get("created_at")),
        status=reading.text(raw.get("status"), 40),
        shipment_status=reading.text(raw.get("shipment_status"), 40),
        tracking_company=_carrier(raw.get("tracking_company")),
        tracking_numbers=_distinct(
            _tracking_number(number) for number in [raw.get("tracking_number"), *_list(raw.get("tracking_numbers"))]
        ),
        tracking_urls=_distinct(reading.url(url) for url in urls),
        ships=any(line.ships for line in lines) or not lines,
    )


def _read(raw: Mapping[str, Any], checkout_token: str | None) -> Purchase:
    total, currency = reading.amount(raw.get("total_price")), reading.currency(raw.get("currency"))
    seen = reading.mapping(reading.mapping(raw.get("total_price_set")).get("presentment_money"))
    seen_total = reading.amount(seen.get("amount"))
    seen_currency = reading.currency(seen.get("currency_code")) or reading.currency(raw.get("presentment_currency"))
    if seen_currency in (None, currency):
        seen_total, seen_currency = reading.first(seen_total, total), currency
    return Purchase(
        id=reading.own_id(raw),
        name=reading.text(raw.get("name"), 100),
        number=reading.first(reading.whole(raw.get("order_number")), reading.whole(raw.get("number"))),
        checkout_token=checkout_token,
        total_price=total,
        currency=currency,
        presentment_total_price=seen_total,
        presentment_currency=seen_currency,
        line_items=_line_items(raw.get("line_items")),
        discount_codes=_distinct(
            reading.text(code.get("code")) for code in reading.objects(raw.get("discount_codes"))
        ),
        tags=reading.words(raw.get("tags")),
        created_at=reading.moment(raw.get("created_at")),
        processed_at=reading.moment(raw.get("processed_at")),
        completed_at=reading.moment(raw.get("completed_at")),
        cancelled_at=reading.moment(raw.get("cancelled_at")),
        cancel_reason=reading.text(raw.get("cancel_reason"), 40),
        financial_status=reading.text(raw.get("financial_status"), 40),
        fulfillment_status=reading.text(raw.get("fulfillment_status"), 40),
        gateway=reading.first(reading.text(raw.get("gateway")), *reading.words(raw.get("payment_gateway_names"))),
        source_name=reading.text(raw.get("source_name")),
        test=raw.get("test") is True,
        abandoned_checkout_url=reading.url(raw.get("abandoned_checkout_url")),
        order_status_url=reading.url(raw.get("order_status_url")),
        refunds=tuple(read_refund(refund) for refund in reading.objects(raw.get("refunds"))),
    )


def _line_items(value: Any) -> tuple[LineItem, ...]:
    return tuple(
        LineItem(
            title=reading.first(reading.text(item.get("title")), reading.text(item.get("name"))),
            quantity=reading.whole(item.get("quantity")),
            price=reading.amount(item.get("price")),
            sku=reading.text(item.get("sku")),
            id=reading.identifier(item.get("id")),
            ships=item.get("requires_shipping") is True
            or (item.get("requires_shipping") is None and item.get("gift_card") is not True),
        )
        for item in reading.objects(value)
    )


def _carrier(value: Any) -> str | None:
    """Who carries a parcel; shops that do not say it choose Other."""
    name = reading.text(value, 100)
    return None if name is None or is_placeholder(name) or name.lower() in _NO_CARRIERS else name


def _tracking_number(value: Any) -> str | None:
    number = str(value) if type(value) is int else reading.text(value, 100)
    return None if number is None or is_placeholder(number) else number


def _list(value: Any) -> list[Any]:
    return value[: reading.MAX_ITEMS] if isinstance(value, list) else []


def _distinct(values: Iterable[str | None]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(value for value in values if value is not None))
