"""Trying a campaign before it goes out: a test message to one person, and a dry run for everybody."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from tidings.errors import InvalidInput, NotFound
from tidings.features.shops.campaigns.dry_run import DryRunBuilder, message_of, row_of
from tidings.features.shops.campaigns.models import ShopCampaign
from tidings.features.shops.campaigns.schemas import DryRun, DryRunIn, TestIn, TestOut
from tidings.features.shops.campaigns.status import CampaignStatus, find_campaign
from tidings.features.shops.lookup import find_shop
from tidings.features.shops.models import Shop, ShopCustomer
from tidings.features.shops.rules.audience import campaign_variables
from tidings.features.shops.segments.audience import read_all, read_customer, read_segment
from tidings.features.shops.segments.models import ShopSegment
from tidings.features.shops.test_numbers.sending import write_test
from tidings.fields import in_zone
from tidings.messages.contacts.addresses import contact_with
from tidings.messages.contacts.contractors import Contractor
from tidings.messages.contacts.numbers.phones import parse_phone
from tidings.messages.gate.rules import Rules
from tidings.messages.text.templates import Sandbox
from tidings.work import Work


class Previews:
    """What `Campaigns` says before a campaign goes out. `rules` are the gate's."""

    def __init__(self, work: Work, templates: Sandbox, rules: Rules) -> None:
        self._work = work
        self._templates = templates
        self._rules = rules

    async def send_test(self, domain: str, key: str, wanted: TestIn) -> TestOut:
        """See `Campaigns.send_test`."""
        now = self._work.clock.now()
        async with self._work.begin() as unit:
            shop = await find_shop(unit.session, domain, lock=True)
            campaign = await find_campaign(unit.session, shop.id, key)
            customer = await find_recipient(unit.session, shop, wanted)
            return await write_test(
                unit,
                self._templates,
                self._rules,
                shop,
                message_of(shop, campaign, customer, now),
                customer_id=customer["id"],
                key=test_key(campaign.id),
                template=campaign.template,
                variables=campaign_variables(row_of(shop, customer)),
            )

    async def dry_run(self, domain: str, key: str, wanted: DryRunIn) -> DryRun:
        """See `Campaigns.dry_run`."""
        now = self._work.clock.now()
        async with self._work.read() as session:
            shop = await find_shop(session, domain)
            campaign = await find_campaign(session, shop.id, key)
            at = in_zone(wanted.at, shop.timezone) if wanted.at else campaign.send_at or now
            dry_run = DryRunBuilder(shop, campaign, self._templates, self._rules, max(at, now))
            predicate = read_segment(await rules_now(session, campaign))
            async for customers in read_all(session, shop.id, predicate, now):
                await dry_run.add(session, customers)
        return dry_run.result()


def test_key(campaign_id: int) -> str:
    """The beginning of the deduplication keys of a campaign's test messages."""
    return f"campaign-test:{campaign_id}:"


async def find_recipient(session: AsyncSession, shop: Shop, wanted: TestIn) -> Mapping[str, Any]:
    """Who gets a test message: the customer, or whoever has the number, or a stranger."""
    if wanted.customer_id is not None:
        customer = await read_customer(session, shop.id, ShopCustomer.id == wanted.customer_id)
        if customer is None:
            raise NotFound("customer", wanted.customer_id)
        if customer["phone"] is None:
            raise InvalidInput("customer_id", "has no number; name another customer")
        return customer
    phone = parse_phone(wanted.to or "", shop.region)
    customer = await read_customer(session, shop.id, ShopCustomer.phone == phone)
    if customer is not None:
        return customer
    contact_id = await contact_with(session, phone)
    contact = None if contact_id is None else await session.get(Contractor, contact_id)
    blank: defaultdict[str, Any] = defaultdict(lambda: None)
    blank |= {
        **{column.key: None for column in ShopCustomer.__table__.columns},
        "contractor_id": contact and contact.id,
        "timezone": contact and contact.timezone,
        "phone": phone,
    }
    return blank


async def rules_now(session: AsyncSession, campaign: ShopCampaign) -> dict[str, Any] | None:
    """The rules of a campaign's segment: a draft's may have changed since it was saved; afterwards they are fixed."""
    if campaign.status == CampaignStatus.DRAFT and campaign.segment_id is not None:
        return (await session.get_one(ShopSegment, campaign.segment_id)).rules
    return campaign.segment_rules
