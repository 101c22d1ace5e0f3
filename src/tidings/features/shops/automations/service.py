"""The verbs of automations."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import delete, select

from tidings.errors import NotFound
from tidings.feature import parse
from tidings.features.shops.automations.models import ShopAutomation
from tidings.features.shops.automations.preview import facts_about, find_subject, preview
from tidings.features.shops.automations.saving import add_preset, call_off, save_automation
from tidings.features.shops.automations.schemas import AutomationIn, AutomationTestIn, PreviewIn, PreviewOut
from tidings.features.shops.campaigns.previews import find_recipient
from tidings.features.shops.campaigns.schemas import TestOut
from tidings.features.shops.kind import CHANNEL, campaign_terms
from tidings.features.shops.lookup import find_automation, find_shop
from tidings.features.shops.rules.presets import PRESETS
from tidings.features.shops.test_numbers.sending import write_test
from tidings.messages.gate.rules import Rules
from tidings.messages.gate.terms import IfBlocked
from tidings.messages.kind import Message
from tidings.messages.tenants import shop_tenant
from tidings.messages.text.templates import Sandbox
from tidings.work import Work


class Automations:
    """Automations of shops; `templates` check and make their texts, `rules` are the gate's.

    `domain` is the shop's, `key` the automation's.
    """

    def __init__(self, work: Work, templates: Sandbox, rules: Rules) -> None:
        self._work = work
        self._templates = templates
        self._rules = rules

    async def save(self, domain: str, key: str, automation: AutomationIn | Mapping[str, Any]) -> ShopAutomation:
        """Adds an automation, or replaces the one with its key; what waits already keeps its text and its time.

        An inactive one calls off what waits. Raises NotFound, and InvalidInput for rules, a template, a trigger or
        a goal that could not work.
        """
        wanted = parse(AutomationIn, automation)
        async with self._work.begin() as unit:
            shop = await find_shop(unit.session, domain)
            return await save_automation(unit, shop, key, wanted, self._templates, self._work.clock.now())

    async def install_preset(self, domain: str, key: str) -> ShopAutomation:
        """Adds a ready automation under its own key, or puts that one back to what it was. Raises NotFound."""
        if key not in PRESETS:
            raise NotFound("preset", f"{key}; there are {', '.join(PRESETS)}")
        async with self._work.begin() as unit:
            shop = await find_shop(unit.session, domain)
            return await add_preset(unit, shop, key, self._templates, self._work.clock.now())

    async def install_presets(self, domain: str, keys: Iterable[str] = tuple(PRESETS)) -> Sequence[ShopAutomation]:
        """Adds several ready automations, by default all. Raises NotFound."""
        return [await self.install_preset(domain, key) for key in keys]

    async def get(self, domain: str, key: str) -> ShopAutomation:
        """One automation. Raises NotFound."""
        async with self._work.read() as session:
            return await find_automation(session, await find_shop(session, domain), key)

    async def list(self, domain: str) -> Sequence[ShopAutomation]:
        """Every automation of a shop. Raises NotFound."""
        async with self._work.read() as session:
            shop = await find_shop(session, domain)
            query = select(ShopAutomation).where(ShopAutomation.shop_id == shop.id).order_by(ShopAutomation.id)
            return (await session.scalars(query)).all()

    async def activate(self, domain: str, key: str) -> ShopAutomation:
        """Lets an automation write again. Raises NotFound."""
        return await self._switch(domain, key, active=True)

    async def deactivate(self, domain: str, key: str) -> ShopAutomation:
        """Lets an automation write no more, and calls off what waits. Raises NotFound."""
        return await self._switch(domain, key, active=False)

    async def delete(self, domain: str, key: str) -> int:
        """Deletes an automation and calls off what waits; returns how many messages that were. Raises NotFound."""
        now = self._work.clock.now()
        async with self._work.begin() as unit:
            shop = await find_shop(unit.session, domain)
            row = await find_automation(unit.session, shop, key, lock=True)
            cancelled = await call_off(unit, row, now)
            await unit.session.execute(delete(ShopAutomation).where(ShopAutomation.id == row.id))
            return cancelled

    async def preview(self, domain: str, key: str, wanted: PreviewIn | Mapping[str, Any] | None = None) -> PreviewOut:
        """An automation's text for a customer, or for a stored event, and another `template` if one is given.

        Without either, the latest event of the trigger is taken; for a customer, their latest one.
        Raises NotFound, and InvalidInput for a template that could not be saved.
        """
        asked = parse(PreviewIn, wanted or {})
        async with self._work.read() as session:
            return await preview(session, self._templates, domain, key, asked, self._work.clock.now())

    async def send_test(self, domain: str, key: str, to: AutomationTestIn | Mapping[str, Any]) -> TestOut:
        """Sends an automation's text to one number or customer, with the facts of a stored event, through the gate.

        A verified test number gets it; anybody else only with consent, whatever the automation's purpose. It counts
        as none of the automation's messages. Raises NotFound, InvalidInput for a number that is none or a customer
        without one, and TemplateError when the text cannot be made of the facts.
        """
        wanted, now = parse(AutomationTestIn, to), self._work.clock.now()
        async with self._work.begin() as unit:
            session = unit.session
            shop = await find_shop(session, domain, lock=True)
            automation = await find_automation(session, shop, key)
            recipient = await find_recipient(session, shop, wanted)
            asked = PreviewIn(event_id=wanted.event_id)
            event, customer, order = await find_subject(session, shop, automation.trigger, asked)
            message = Message(
                id=0,
                contact_id=recipient["contractor_id"],
                scheduled_time=now,
                attempt=1,
                channel=CHANNEL,
                address=recipient["phone"],
                idempotency_key="",
                row={},
                terms=campaign_terms(IfBlocked.DEFER),
                timezone=recipient["timezone"],
                tenant=shop_tenant(shop.id),
            )
            return await write_test(
                unit,
                self._templates,
                self._rules,
                shop,
                message,
                customer_id=recipient["id"],
                key=f"automation-test:{automation.id}:",
                template=automation.template,
                variables=facts_about(event, automation.trigger, shop, customer, order),
            )

    async def _switch(self, domain: str, key: str, *, active: bool) -> ShopAutomation:
        now = self._work.clock.now()
        async with self._work.begin() as unit:
            shop = await find_shop(unit.session, domain)
            row = await find_automation(unit.session, shop, key, lock=True)
            if row.active != active:
                row.active, row.updated_at = active, now
                await unit.session.flush()
            if not active:
                await call_off(unit, row, now)
            return row
