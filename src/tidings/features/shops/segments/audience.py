"""Who matches a segment: a shop's customers, page by page in order of id."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, select
from sqlalchemy.ext.asyncio import AsyncSession

from tidings.features.shops.models import ShopCustomer, ShopOrder
from tidings.features.shops.rules.audience import SEGMENT_FIELDS, OrderFacts, customer_facts, net_total, order_facts
from tidings.features.shops.rules.predicates import Predicate, compile_predicate
from tidings.messages.contacts.contractors import Contractor

PAGE = 1000
"""Customers that are looked at in one go."""

_CUSTOMER = ShopCustomer.__table__.c
_ORDER = ShopOrder.__table__.c
_CONTRACTOR = Contractor.__table__.c
_CUSTOMERS = (
    select(
        *(
            _CUSTOMER[name]
            for name in (
                "id",
                "contractor_id",
                "customer_key",
                "first_name",
                "last_name",
                "email",
                "phone",
                "country",
                "locale",
                "tags",
                "orders_count",
                "total_spent",
                "first_order_at",
                "last_order_at",
                "sms_consent",
                "sms_consent_at",
                "created_at",
            )
        ),
        _CONTRACTOR.timezone,
    )
    .outerjoin(_CONTRACTOR.id.table, _CONTRACTOR.id == _CUSTOMER.contractor_id)
    .where(_CUSTOMER.redacted_at.is_(None))
)


@dataclass(frozen=True, slots=True)
class Page:
    """Matching customers among those up to `last_id`. `is_last`: there are no more after them."""

    matching: Sequence[Mapping[str, Any]]
    last_id: int
    is_last: bool


def read_segment(rules: Any, *, at: str = "rules") -> Predicate | None:
    """The compiled rules of a segment; None, for no rules, is everybody. Raises InvalidInput."""
    return None if rules is None else compile_predicate(rules, SEGMENT_FIELDS, at=at)


async def read_page(
    session: AsyncSession,
    shop_id: int,
    predicate: Predicate | None,
    now: datetime,
    *,
    after_id: int = 0,
    limit: int = PAGE,
) -> Page:
    """Looks at the next `limit` customers of a shop; `now` is what conditions on dates go by."""
    rows = (
        (
            await session.execute(
                _CUSTOMERS.where(_CUSTOMER.shop_id == shop_id, _CUSTOMER.id > after_id)
                .order_by(_CUSTOMER.id)
                .limit(limit)
            )
        )
        .mappings()
        .all()
    )
    matching = [dict(row) for row in rows]
    if predicate is not None:
        asks_orders = any(name.startswith("orders.") for name in predicate.fields())
        orders = await _orders(session, [row["id"] for row in rows]) if asks_orders else {}
        matching = [
            row
            for row in matching
            if predicate.matches(
                {
                    "customer": {**customer_facts(row), "created_at": row["created_at"]},
                    "orders": order_facts(orders.get(row["id"], [])) if asks_orders else None,
                    "now": now,
                }
            )
        ]
    return Page(matching, rows[-1]["id"] if rows else after_id, is_last=len(rows) < limit)


async def read_all(
    session: AsyncSession, shop_id: int, predicate: Predicate | None, now: datetime
) -> AsyncIterator[Sequence[Mapping[str, Any]]]:
    """The matching customers of a shop, in pages."""
    after_id, is_last = 0, False
    while not is_last:
        page = await read_page(session, shop_id, predicate, now, after_id=after_id)
        after_id, is_last = page.last_id, page.is_last
        yield page.matching


async def read_customer(session: AsyncSession, shop_id: int, which: ColumnElement[bool]) -> Mapping[str, Any] | None:
    """The first of a shop's customers of whom `which` is true; None when there is none."""
    query = _CUSTOMERS.where(_CUSTOMER.shop_id == shop_id, which).order_by(_CUSTOMER.id).limit(1)
    found = (await session.execute(query)).mappings().first()
    return dict(found) if found else None


async def _orders(session: AsyncSession, customer_ids: Sequence[int]) -> Mapping[int, list[OrderFacts]]:
    rows = await session.execute(
        select(
            *(
                _ORDER[name]
                for name in ("customer_id", "placed_at", "paid_at", "cancelled_at", "total", "refunds", "titles")
            )
        )
        .where(_ORDER.customer_id.in_(customer_ids), _ORDER.is_test.is_(False))
        .order_by(_ORDER.id)
    )
    found: defaultdict[int, list[OrderFacts]] = defaultdict(list)
    for row in rows:
        found[row.customer_id].append(
            OrderFacts(
                placed_at=row.placed_at,
                paid=row.paid_at is not None,
                cancelled=row.cancelled_at is not None,
                total=net_total(row.total, row.refunds),
                titles=tuple(row.titles or ()),
            )
        )
    return found
