"""The verbs of segments: saved questions about a shop's customers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from tidings.errors import Conflict, NotFound
from tidings.feature import parse
from tidings.features.shops.campaigns.models import ShopCampaign
from tidings.features.shops.campaigns.status import CampaignStatus
from tidings.features.shops.lookup import find_shop
from tidings.features.shops.models import ShopCustomer
from tidings.features.shops.schemas import parse_key
from tidings.features.shops.segments.audience import read_all, read_segment
from tidings.features.shops.segments.models import ShopSegment
from tidings.features.shops.segments.schemas import RulesIn, SampleCustomer, SegmentIn, SegmentPreview
from tidings.work import Work

SAMPLES = 5


class Segments:
    """Segments of shops. `domain` is the shop's, `key` the segment's."""

    def __init__(self, work: Work) -> None:
        self._work = work

    async def save(self, domain: str, key: str, segment: SegmentIn | Mapping[str, Any]) -> ShopSegment:
        """Adds a segment, or replaces the one with its key; scheduled campaigns keep the rules they had.

        Raises NotFound, and InvalidInput with the path of the first mistake in the rules.
        """
        wanted, now = parse(SegmentIn, segment), self._work.clock.now()
        key = parse_key(key)
        read_segment(wanted.rules)
        async with self._work.begin() as unit:
            shop = await find_shop(unit.session, domain, lock=True)
            row = await _segment(unit.session, shop.id, key)
            if row is None:
                row = ShopSegment(shop_id=shop.id, key=key, version=0, created_at=now)
                unit.session.add(row)
            row.name, row.rules, row.version, row.updated_at = wanted.name, wanted.rules, row.version + 1, now
            return row

    async def get(self, domain: str, key: str) -> ShopSegment:
        """One segment. Raises NotFound."""
        async with self._work.read() as session:
            shop = await find_shop(session, domain)
            return await find_segment(session, shop.id, key)

    async def list(self, domain: str) -> Sequence[ShopSegment]:
        """Every segment of a shop by key. Raises NotFound."""
        async with self._work.read() as session:
            shop = await find_shop(session, domain)
            query = select(ShopSegment).where(ShopSegment.shop_id == shop.id).order_by(ShopSegment.key)
            return (await session.scalars(query)).all()

    async def delete(self, domain: str, key: str) -> None:
        """Deletes a segment. Raises NotFound, and Conflict while the draft of a campaign is for it."""
        async with self._work.begin() as unit:
            shop = await find_shop(unit.session, domain, lock=True)
            row = await find_segment(unit.session, shop.id, key)
            of_drafts = select(ShopCampaign.key).where(
                ShopCampaign.segment_id == row.id, ShopCampaign.status == CampaignStatus.DRAFT
            )
            if drafts := (await unit.session.scalars(of_drafts.order_by(ShopCampaign.key))).all():
                raise Conflict(
                    f"segment {key} is that of a campaign's draft ({', '.join(drafts)}); change those first"
                )
            await unit.session.delete(row)

    async def preview(self, domain: str, rules: RulesIn | Mapping[str, Any] | str) -> SegmentPreview:
        """How many customers match now, with samples; `rules` may be the key of a saved segment.

        Raises NotFound and InvalidInput.
        """
        async with self._work.read() as session:
            shop = await find_shop(session, domain)
            if isinstance(rules, str):
                document = (await find_segment(session, shop.id, rules)).rules
            else:
                document = parse(RulesIn, rules).rules
            predicate = read_segment(document)
            everybody = select(func.count()).where(
                ShopCustomer.shop_id == shop.id, ShopCustomer.redacted_at.is_(None)
            )
            customers = await session.scalar(everybody) or 0
            matching = with_number = 0
            samples: list[SampleCustomer] = []
            async for page in read_all(session, shop.id, predicate, self._work.clock.now()):
                matching += len(page)
                with_number += sum(row["phone"] is not None for row in page)
                samples += [SampleCustomer.model_validate(row) for row in page[: SAMPLES - len(samples)]]
        return SegmentPreview(customers=customers, matching=matching, with_number=with_number, samples=samples)


async def find_segment(session: AsyncSession, shop_id: int, key: str) -> ShopSegment:
    """Raises NotFound."""
    found = await _segment(session, shop_id, key)
    if found is None:
        raise NotFound("segment", key)
    return found


async def _segment(session: AsyncSession, shop_id: int, key: str) -> ShopSegment | None:
    query = select(ShopSegment).where(ShopSegment.shop_id == shop_id, ShopSegment.key == key)
    return await session.scalar(query)
