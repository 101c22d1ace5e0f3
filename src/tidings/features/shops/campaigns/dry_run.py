"""What the gate would say to every recipient of a campaign, and what the messages would cost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from tidings.errors import TemplateError
from tidings.features.shops.campaigns.models import ShopCampaign
from tidings.features.shops.campaigns.schemas import Cost, CountryCost, Deferred, DryRun, SampleText
from tidings.features.shops.campaigns.status import due_at
from tidings.features.shops.kind import CHANNEL, campaign_terms, price_table
from tidings.features.shops.models import Shop
from tidings.features.shops.rules.audience import campaign_variables
from tidings.features.shops.rules.prices import Estimate, estimate, loads_by_country
from tidings.messages.gate.policy import Decision, Defer, Refuse, Send, Skip
from tidings.messages.gate.preview import preview_decisions
from tidings.messages.gate.rules import Rules
from tidings.messages.kind import Message
from tidings.messages.tenants import shop_tenant
from tidings.messages.text.segments import measure
from tidings.messages.text.templates import Sandbox

SAMPLES = 3


class DryRunBuilder:
    """Counts recipients by what the gate would say, page by page, at the moment `at`."""

    def __init__(self, shop: Shop, campaign: ShopCampaign, templates: Sandbox, rules: Rules, at: datetime) -> None:
        self._shop = shop
        self._campaign = campaign
        self._templates = templates
        self._rules = rules
        self._at = at
        self._seen: set[tuple[str, int]] = set()
        self._without_number = self._now = 0
        self._deferred: Counter[tuple[datetime, str]] = Counter()
        self._skipped: Counter[str] = Counter()
        self._failed: Counter[str] = Counter()
        self._loads: list[tuple[str, int]] = []
        self._samples: list[SampleText] = []

    async def add(self, session: AsyncSession, customers: Sequence[Mapping[str, Any]]) -> None:
        """Takes a page of the segment's customers in; a contact that several share counts once."""
        messages = []
        for customer in customers:
            contact = customer["contractor_id"]
            who = ("customer", customer["id"]) if contact is None else ("contact", contact)
            if customer["phone"] is None:
                self._without_number += 1
            elif who not in self._seen:
                self._seen.add(who)
                messages.append(message_of(self._shop, self._campaign, customer, self._due(customer)))
        decisions = await preview_decisions(session, messages, self._rules, self._at)
        for message, decision in zip(messages, decisions, strict=True):
            self._note(message, decision)

    def _due(self, customer: Mapping[str, Any]) -> datetime:
        due = due_at(
            self._at,
            self._shop.timezone,
            local_time=self._campaign.local_time,
            phone=customer["phone"],
            recipients_timezone=customer["timezone"],
        )
        return max(due, self._at)

    def _note(self, message: Message, decision: Decision) -> None:
        match decision:
            case Skip(reason, _):
                self._skipped[reason] += 1
                return
            case Refuse(error, _):
                self._failed[error] += 1
                return
        try:
            text = self._templates.render(self._campaign.template, campaign_variables(message.row))
        except TemplateError as error:
            self._failed[str(error)] += 1
            return
        segments = measure(text).segments
        self._loads.append((message.address or "", segments))
        if len(self._samples) < SAMPLES:
            self._samples.append(SampleText(customer_id=message.id, text=text, segments=segments))
        if isinstance(decision, Defer):
            hour = decision.until.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
            self._deferred[hour, decision.reason] += 1
        else:
            assert isinstance(decision, Send)
            self._now += 1

    def result(self) -> DryRun:
        """What it all comes to."""
        deferred, skipped, failed = (sum(counts.values()) for counts in (self._deferred, self._skipped, self._failed))
        cost = estimate(loads_by_country(self._loads), price_table(vars(self._shop)))
        return DryRun(
            at=self._at,
            audience=len(self._seen),
            now=self._now,
            deferred=deferred,
            skipped=skipped,
            failed=failed,
            deferred_until=[
                Deferred(until=until, reason=reason, recipients=number)
                for (until, reason), number in sorted(self._deferred.items())
            ],
            skipped_because=dict(self._skipped),
            failed_because=dict(self._failed.most_common(20)),
            without_number=self._without_number,
            cost=_cost(cost),
            samples=self._samples,
        )


def message_of(shop: Shop, campaign: ShopCampaign, customer: Mapping[str, Any], due: datetime) -> Message:
    """The message as the gate would get it."""
    return Message(
        id=customer["id"] or 0,
        contact_id=customer["contractor_id"],
        scheduled_time=due,
        attempt=1,
        channel=CHANNEL,
        address=customer["phone"],
        idempotency_key="",
        row=row_of(shop, customer),
        terms=campaign_terms(campaign.if_blocked),
        timezone=customer["timezone"],
        tenant=shop_tenant(shop.id),
        not_after=campaign.not_after,
    )


def row_of(shop: Shop, customer: Mapping[str, Any]) -> dict[str, Any]:
    """A customer and their shop under the names that a message is loaded with."""
    return {
        **{f"customer_{name}": value for name, value in customer.items()},
        "domain": shop.domain,
        "shop_name": shop.name,
        "shop_locale": shop.locale,
        "currency": shop.currency,
    }


def _cost(cost: Estimate) -> Cost:
    return Cost(
        currency=cost.currency,
        messages=cost.messages,
        segments=cost.segments,
        total=str(cost.total),
        countries=[
            CountryCost(
                country=each.country,
                messages=each.messages,
                segments=each.segments,
                price=str(each.price),
                total=str(each.total),
            )
            for each in cost.countries
        ],
    )
