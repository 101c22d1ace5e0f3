"""The verbs of campaigns: one text to a whole segment, at its time and pace."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from tidings.clock import to_milliseconds
from tidings.errors import Conflict, InvalidInput, TemplateError
from tidings.feature import parse
from tidings.features.shops.campaigns.jobs import batch_job, release_job
from tidings.features.shops.campaigns.models import ShopCampaign
from tidings.features.shops.campaigns.previews import Previews, rules_now
from tidings.features.shops.campaigns.progress import read_progress
from tidings.features.shops.campaigns.recipients import put_back
from tidings.features.shops.campaigns.schemas import (
    CampaignIn,
    CampaignProgress,
    DryRun,
    DryRunIn,
    RecipientOut,
    ScheduleIn,
    TestIn,
    TestOut,
)
from tidings.features.shops.campaigns.status import CampaignStatus, find_campaign, opens_at
from tidings.features.shops.campaigns.upkeep import end_recipients
from tidings.features.shops.kind import ShopMessages
from tidings.features.shops.lookup import find_shop
from tidings.features.shops.models import Shop, ShopMessage
from tidings.features.shops.rules.audience import CAMPAIGN_NAMES
from tidings.features.shops.schemas import parse_key
from tidings.features.shops.segments.audience import read_segment
from tidings.features.shops.segments.service import find_segment
from tidings.fields import in_zone
from tidings.log import current_request_id, get_logger
from tidings.messages.gate.rules import Rules
from tidings.messages.text.templates import Sandbox
from tidings.work import Unit, Work

log = get_logger(__name__)

_HISTORY = (CampaignStatus.CANCELLED, CampaignStatus.FINISHED)


class Campaigns:
    """Campaigns of shops. `domain` is the shop's, `key` the campaign's; a naive time is on the shop's wall clock.

    `templates` check and make their texts, `rules` are the gate's.
    """

    def __init__(self, work: Work, templates: Sandbox, rules: Rules) -> None:
        self._work = work
        self._templates = templates
        self._previews = Previews(work, templates, rules)

    async def save(self, domain: str, key: str, campaign: CampaignIn | Mapping[str, Any]) -> ShopCampaign:
        """Adds a draft, or replaces the draft with its key. Nobody gets anything before it is scheduled.

        Raises NotFound, InvalidInput for a template that cannot be used, and Conflict for one that is no draft.
        """
        wanted, now = parse(CampaignIn, campaign), self._work.clock.now()
        key = parse_key(key)
        try:
            self._templates.check(wanted.template, CAMPAIGN_NAMES)
        except TemplateError as error:
            raise InvalidInput("template", str(error)) from error
        async with self._work.begin() as unit:
            shop = await find_shop(unit.session, domain, lock=True)
            segment = await find_segment(unit.session, shop.id, wanted.segment) if wanted.segment else None
            row = await unit.session.scalar(
                select(ShopCampaign).where(ShopCampaign.shop_id == shop.id, ShopCampaign.key == key).with_for_update()
            )
            if row is None:
                row = ShopCampaign(shop_id=shop.id, key=key, status=CampaignStatus.DRAFT, created_at=now)
                unit.session.add(row)
            _require(row, "changed", CampaignStatus.DRAFT)
            row.name, row.template, row.rate_per_minute = wanted.name, wanted.template, wanted.rate_per_minute
            row.segment_id = segment.id if segment else None
            row.segment_rules = segment.rules if segment else None
            row.if_blocked, row.updated_at = wanted.if_blocked, now
            row.not_after = in_zone(wanted.not_after, shop.timezone) if wanted.not_after else None
            await unit.session.flush()
            return row

    async def get(self, domain: str, key: str) -> ShopCampaign:
        """One campaign. Raises NotFound."""
        async with self._work.read() as session:
            return await find_campaign(session, (await find_shop(session, domain)).id, key)

    async def list(
        self, domain: str, *, status: str | None = None, after_id: int = 0, limit: int = 100
    ) -> Sequence[ShopCampaign]:
        """Campaigns of a shop in order of id. Raises NotFound."""
        async with self._work.read() as session:
            shop = await find_shop(session, domain)
            query = select(ShopCampaign).where(ShopCampaign.shop_id == shop.id, ShopCampaign.id > after_id)
            if status is not None:
                query = query.where(ShopCampaign.status == status)
            return (await session.scalars(query.order_by(ShopCampaign.id).limit(limit))).all()

    async def schedule(
        self, domain: str, key: str, schedule: ScheduleIn | Mapping[str, Any] | None = None
    ) -> ShopCampaign:
        """Schedules a draft, or moves one that has not begun. Its segment's rules are kept as they are now.

        Without `send_at` it goes out at once. Raises NotFound, InvalidInput for a moment after `not_after`, and
        Conflict when it has begun or the shop has uninstalled the app.
        """
        wanted, now = parse(ScheduleIn, schedule or {}), self._work.clock.now()
        async with self._work.begin() as unit:
            shop = await _installed(unit.session, domain)
            row = await find_campaign(unit.session, shop.id, key, lock=True)
            if row.started_at is not None:
                raise Conflict(f"campaign {key} has begun; pause or cancel it instead")
            _require(row, "scheduled", CampaignStatus.DRAFT, CampaignStatus.SCHEDULED, CampaignStatus.PAUSED)
            row.send_at = to_milliseconds(in_zone(wanted.send_at, shop.timezone) if wanted.send_at else now)
            if row.not_after is not None and row.not_after <= row.send_at:
                raise InvalidInput("send_at", "is after the campaign's not_after, so nobody would get it")
            if row.status == CampaignStatus.DRAFT:
                row.segment_rules = await rules_now(unit.session, row)
                read_segment(row.segment_rules)
            row.local_time, row.status, row.updated_at = wanted.local_time, CampaignStatus.SCHEDULED, now
            row.request_id = current_request_id()
            _arm(unit, row, shop)
        return row

    async def pause(self, domain: str, key: str) -> ShopCampaign:
        """Holds a campaign, recipients included who are not written down yet. What is being sent still leaves.

        Pausing again is harmless. Raises NotFound, and Conflict for a draft or one that is over.
        """
        async with self._work.begin() as unit:
            shop = await find_shop(unit.session, domain)
            row = await find_campaign(unit.session, shop.id, key, lock=True)
            _require(row, "paused", CampaignStatus.SCHEDULED, CampaignStatus.RUNNING, CampaignStatus.PAUSED)
            row.status, row.updated_at = CampaignStatus.PAUSED, self._work.clock.now()
            await put_back(unit, [row.id])
            return row

    async def resume(self, domain: str, key: str) -> ShopCampaign:
        """Lets a paused campaign go on where it was. Doing it again is harmless. Raises NotFound and Conflict."""
        async with self._work.begin() as unit:
            shop = await _installed(unit.session, domain)
            row = await find_campaign(unit.session, shop.id, key, lock=True)
            if row.status in (CampaignStatus.SCHEDULED, CampaignStatus.RUNNING):
                return row
            _require(row, "resumed", CampaignStatus.PAUSED)
            row.status = CampaignStatus.SCHEDULED if row.started_at is None else CampaignStatus.RUNNING
            row.updated_at = self._work.clock.now()
            _arm(unit, row, shop)
            return row

    async def cancel(self, domain: str, key: str) -> ShopCampaign:
        """Ends a campaign for everybody who has not got it; what is being sent still leaves.

        Cancelling again is harmless. Raises NotFound, and Conflict for a finished one.
        """
        async with self._work.begin() as unit:
            shop = await find_shop(unit.session, domain)
            row = await find_campaign(unit.session, shop.id, key, lock=True)
            _require(row, "cancelled", *(one for one in CampaignStatus if one is not CampaignStatus.FINISHED))
            now = self._work.clock.now()
            if row.status != CampaignStatus.CANCELLED:
                row.status, row.updated_at = CampaignStatus.CANCELLED, now
                await put_back(unit, [row.id])
        await end_recipients(self._work, row.id)
        return await self.get(domain, key)

    async def send_test(self, domain: str, key: str, to: TestIn | Mapping[str, Any]) -> TestOut:
        """Sends the campaign's text to one number or customer, through the gate like every message of it.

        It is no recipient of the campaign and counts apart. Raises NotFound, InvalidInput for a number that is none
        or a customer without one, and TemplateError when the text cannot be made for them.
        """
        return await self._previews.send_test(domain, key, parse(TestIn, to))

    async def dry_run(self, domain: str, key: str, moment: DryRunIn | Mapping[str, Any] | None = None) -> DryRun:
        """What the gate would say to every recipient, and what the messages would cost; nothing is written.

        Raises NotFound and InvalidInput.
        """
        return await self._previews.dry_run(domain, key, parse(DryRunIn, moment or {}))

    async def progress(self, domain: str, key: str) -> CampaignProgress:
        """Where the recipients stand at this moment. Raises NotFound."""
        async with self._work.read() as session:
            shop = await find_shop(session, domain)
            return await read_progress(session, shop, await find_campaign(session, shop.id, key))

    async def recipients(
        self, domain: str, key: str, *, status: str | None = None, after_id: int = 0, limit: int = 100
    ) -> Sequence[RecipientOut]:
        """A campaign's recipients in order of id. Raises NotFound."""
        async with self._work.read() as session:
            row = await find_campaign(session, (await find_shop(session, domain)).id, key)
            query = select(ShopMessage).where(ShopMessage.campaign_id == row.id, ShopMessage.id > after_id)
            if status is not None:
                query = query.where(ShopMessage.status == status)
            messages = (await session.scalars(query.order_by(ShopMessage.id).limit(limit))).all()
        return [_shown(message) for message in messages]


def _arm(unit: Unit, row: ShopCampaign, shop: Shop) -> None:
    assert row.send_at is not None  # it is scheduled
    if row.expanded_at is None:
        due = opens_at(row.send_at, shop.timezone, local_time=row.local_time)
        unit.arm(batch_job(row, shop.domain, due=due))
    unit.arm(release_job(shop.id, f"resumed-{row.id}-{int(row.updated_at.timestamp() * 1000)}"))


def _shown(row: ShopMessage) -> RecipientOut:
    columns = {name: getattr(row, name) for name in RecipientOut.model_fields if name != "message"}
    return RecipientOut(**columns, message=ShopMessages.job_id(row.id))


async def _installed(session: AsyncSession, domain: str) -> Shop:
    shop = await find_shop(session, domain)
    if shop.uninstalled_at is not None:
        raise Conflict(f"{domain} has uninstalled the app; nothing leaves for it any more")
    return shop


def _require(row: ShopCampaign, verb: str, *allowed: CampaignStatus) -> None:
    if row.status not in allowed:
        state = "over" if row.status in _HISTORY else row.status
        hint = "; save it under another key" if verb == "changed" else ""
        raise Conflict(f"campaign {row.key} is {state} ({row.status}) and cannot be {verb}{hint}")
