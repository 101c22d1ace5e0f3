"""Writes a campaign's audience down: one row for each recipient, a batch at a time, exactly once.

Rows and cursor are written in one transaction under the campaign's lock. Whoever dies in between has written
nothing, and whoever comes next goes on at the cursor.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, DateTime, Integer, String, cast, func, literal, select
from sqlalchemy.dialects.postgresql import insert as insert_postgresql
from sqlalchemy.dialects.sqlite import insert as insert_sqlite
from sqlalchemy.ext.asyncio import AsyncSession

from tidings.clock import to_milliseconds
from tidings.db.base import UtcDateTime
from tidings.features.shops.campaigns.jobs import batch_job, release_job
from tidings.features.shops.campaigns.models import ShopCampaign
from tidings.features.shops.campaigns.status import CampaignStatus, due_at, opens_at
from tidings.features.shops.models import Shop, ShopCustomer, ShopMessage
from tidings.features.shops.segments.audience import read_page, read_segment
from tidings.messages.gate.terms import Purpose
from tidings.messages.statuses import Status
from tidings.work import Work

BATCH = 250
"""Customers that are looked at in one transaction, unless a job asks for another number.

SQLite has one writer: a thousand rows would keep another shop's messages waiting for a tenth of a second.
"""

PAUSE = 0.1
"""Real seconds between two batches, in which others write."""

_CUSTOMER = ShopCustomer.__table__.c


@dataclass(frozen=True, slots=True)
class Expanded:
    """What one batch came to; `because` says why nothing was done."""

    added: int = 0
    is_complete: bool = False
    because: str | None = None


async def expand(work: Work, campaign_id: int, batch_size: int = BATCH) -> Expanded:
    """Writes the recipients among the next customers, and asks for the batch after it.

    A campaign whose moment has come starts with its first batch. One that is a draft, paused, cancelled or
    expanded already is left alone.
    """
    now = work.clock.now()
    async with work.read() as session:
        campaign, shop = await _find(session, campaign_id)
        if campaign is None or shop is None:
            return Expanded(because=f"there is no campaign {campaign_id}")
        if refusal := _refusal(campaign, shop, now):
            return Expanded(because=refusal)
        predicate = read_segment(campaign.segment_rules)
        cursor = campaign.cursor
        page = await read_page(session, shop.id, predicate, now, after_id=cursor, limit=batch_size)
    moments = _moments(campaign, shop, page.matching, now)
    async with work.begin() as unit:
        row = await unit.session.get(ShopCampaign, campaign_id, with_for_update=True)
        if row is None or row.cursor != cursor or _refusal(row, shop, now):
            return Expanded(because="somebody else was faster")
        added = 0
        for moment, ids in moments.items():
            added += await _write(unit.session, row, moment, ids, now)
        if row.status == CampaignStatus.SCHEDULED:
            row.status, row.started_at = CampaignStatus.RUNNING, now
        row.cursor, row.updated_at = page.last_id, now
        row.audience += added
        if page.is_last:
            row.expanded_at = now
        else:
            unit.arm(batch_job(row, shop.domain, batch_size, due=work.clock.after(PAUSE)))
        unit.arm(release_job(shop.id, f"expanded-{campaign_id}-{page.last_id}"))
    return Expanded(added, page.is_last)


async def _find(session: AsyncSession, campaign_id: int) -> tuple[ShopCampaign | None, Shop | None]:
    campaign = await session.get(ShopCampaign, campaign_id)
    return campaign, await session.get(Shop, campaign.shop_id) if campaign else None


def _refusal(campaign: ShopCampaign, shop: Shop, now: datetime) -> str | None:
    if shop.uninstalled_at is not None:
        return "the shop has uninstalled the app"
    if campaign.status not in (CampaignStatus.SCHEDULED, CampaignStatus.RUNNING):
        return f"campaign {campaign.id} is {campaign.status}"
    if campaign.expanded_at is not None:
        return f"the audience of campaign {campaign.id} is complete"
    if campaign.send_at is None or now < opens_at(campaign.send_at, shop.timezone, local_time=campaign.local_time):
        return f"campaign {campaign.id} is not due yet"
    return None


def _moments(
    campaign: ShopCampaign, shop: Shop, customers: Sequence[Mapping[str, Any]], now: datetime
) -> Mapping[datetime, list[int]]:
    """Ids of the customers that have a number, by the moment from which on their message may leave."""
    assert campaign.send_at is not None  # a campaign without one is not expanded
    found: defaultdict[datetime, list[int]] = defaultdict(list)
    for customer in customers:
        if customer["phone"] is not None:
            due = due_at(
                campaign.send_at,
                shop.timezone,
                local_time=campaign.local_time,
                phone=customer["phone"],
                recipients_timezone=customer["timezone"],
            )
            found[to_milliseconds(max(due, now))].append(customer["id"])
    return found


async def _write(
    session: AsyncSession, campaign: ShopCampaign, moment: datetime, customer_ids: Sequence[int], now: datetime
) -> int:
    """Copies recipients from the customers as they are now; a number that several customers share counts once."""
    contact = literal("contact-", String) + cast(_CUSTOMER.contractor_id, String)
    customer = literal("customer-", String) + cast(_CUSTOMER.id, String)
    values: dict[str, Any] = {
        "shop_id": _CUSTOMER.shop_id,
        "customer_id": _CUSTOMER.id,
        "contractor_id": _CUSTOMER.contractor_id,
        "campaign_id": literal(campaign.id, BigInteger),
        "deduplication_key": literal(f"campaign:{campaign.id}:", String) + func.coalesce(contact, customer),
        "purpose": literal(str(Purpose.PROMOTIONAL), String),
        "recipient": _CUSTOMER.phone,
        "request_id": literal(campaign.request_id, String),
        "not_after": literal(campaign.not_after, UtcDateTime),
        "status": literal(Status.WAITING, String),
        "attempts": literal(0, Integer),
        "scheduled_time": literal(moment, UtcDateTime),
        "created_at": literal(now, UtcDateTime),
        "updated_at": literal(now, UtcDateTime),
    }
    if session.get_bind().dialect.name == "postgresql":
        # PostgreSQL gives a bare parameter of a SELECT no type of its own.
        values["not_after"] = cast(values["not_after"], DateTime(timezone=True))
        values["request_id"] = cast(values["request_id"], String)
    chosen = (
        select(*(value.label(name) for name, value in values.items()))
        .where(_CUSTOMER.id.in_(customer_ids), _CUSTOMER.phone.is_not(None), _CUSTOMER.redacted_at.is_(None))
        .order_by(_CUSTOMER.id)
    )
    insert: Any = insert_postgresql if session.get_bind().dialect.name == "postgresql" else insert_sqlite
    written: Any = await session.execute(
        insert(ShopMessage).from_select(list(values), chosen).on_conflict_do_nothing()
    )
    return int(written.rowcount)
