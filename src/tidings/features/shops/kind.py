"""The kind of shops' messages: what is loaded for a claimed row, their text and its price."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, ClassVar

from sqlalchemy import and_, case, null, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from tidings.clock import Clock
from tidings.engine.jobs import Job
from tidings.errors import ConfigurationError, TemplateError
from tidings.features.shops.accounts.mitto import MittoAccess
from tidings.features.shops.automations.goals import reached_among
from tidings.features.shops.automations.models import ShopAutomation
from tidings.features.shops.campaigns.demand import releases_after
from tidings.features.shops.campaigns.models import ShopCampaign
from tidings.features.shops.campaigns.recipients import return_paused
from tidings.features.shops.campaigns.status import CampaignStatus
from tidings.features.shops.jobs import (
    CAMPAIGN_PRIORITY,
    PROMOTIONAL_PRIORITY,
    SEND,
    SHOP_MESSAGE,
    TRANSACTIONAL_PRIORITY,
    SendData,
)
from tidings.features.shops.models import Shop, ShopCustomer, ShopMessage, ShopOrder
from tidings.features.shops.rules import reading
from tidings.features.shops.rules.audience import campaign_variables
from tidings.features.shops.rules.prices import PriceTable
from tidings.features.shops.rules.refunds import without_returned
from tidings.features.shops.rules.stored import from_json
from tidings.messages.contacts.contractors import Contractor
from tidings.messages.contacts.numbers.countries import country_of
from tidings.messages.gate.terms import TRANSACTIONAL, ConsentNeed, IfBlocked, Purpose, Terms, promotional
from tidings.messages.kind import Addressee, Content, Ended, Message, MessageKind
from tidings.messages.statuses import Reason
from tidings.messages.tenants import shop_tenant
from tidings.messages.text.segments import measure
from tidings.messages.text.templates import Sandbox
from tidings.providers.mitto import Mitto
from tidings.work import Work

CHANNEL = "sms"

_ROW = ShopMessage.__table__.c
_SHOP = Shop.__table__.c
_CUSTOMER = ShopCustomer.__table__.c
_CAMPAIGN = ShopCampaign.__table__.c
_AUTOMATION = ShopAutomation.__table__.c
_CONTRACTOR = Contractor.__table__.c
_ORDER = ShopOrder.__table__.c

_OF_CUSTOMER = (
    *("first_name", "last_name", "email", "phone", "country", "locale", "tags", "customer_key", "orders_count"),
    *("total_spent", "first_order_at", "last_order_at", "sms_consent", "sms_consent_at", "redacted_at"),
)
_OF_SHOP = (
    *("domain", "currency", "sender", "mitto_api_key", "callback_token"),
    *("sms_prices", "default_price", "uninstalled_at"),
)

LOADED = (
    select(
        *(
            column
            for column in ShopMessage.__table__.columns
            if column.key not in ("text", "segments", "price", "error_message", "status_reason", "deduplication_key")
        ),
        *(_SHOP[name] for name in _OF_SHOP),
        *(_SHOP[name].label(f"shop_{name}") for name in ("name", "timezone", "locale")),
        *(_CUSTOMER[name].label(f"customer_{name}") for name in _OF_CUSTOMER),
        *(_CAMPAIGN[name].label(f"campaign_{name}") for name in ("status", "template", "if_blocked")),
        *(_ORDER[name].label(f"order_{name}") for name in ("cancelled_at", "refunds", "total")),
        case((_ROW.automation_id.is_(None), True), else_=_AUTOMATION.active).label("automation_active"),
        _CONTRACTOR.timezone.label("contractor_timezone"),
    )
    .join(_SHOP.id.table, _SHOP.id == _ROW.shop_id)
    .outerjoin(_CUSTOMER.id.table, _CUSTOMER.id == _ROW.customer_id)
    .outerjoin(_CAMPAIGN.id.table, _CAMPAIGN.id == _ROW.campaign_id)
    .outerjoin(_AUTOMATION.id.table, _AUTOMATION.id == _ROW.automation_id)
    .outerjoin(_CONTRACTOR.id.table, _CONTRACTOR.id == _ROW.contractor_id)
    .outerjoin(_ORDER.id.table, and_(_ORDER.shop_id == _ROW.shop_id, _ORDER.order_key == _ROW.order_key))
)
"""Messages with their shops, customers, orders, automations and campaigns, in one query.

The shop's name, timezone and locale are `shop_…`, what is the customer's `customer_…`, the order's `order_…`.
"""


def campaign_terms(if_blocked: str) -> Terms:
    """The terms of what buyers have not asked for: campaigns, and automations that promote."""
    return promotional(IfBlocked(if_blocked), ConsentNeed.GRANTED)


def price_table(shop: Mapping[str, Any]) -> PriceTable:
    """A shop's prices; they were checked when they were saved."""
    prices = {name: Decimal(price) for name, price in shop["sms_prices"].items()}
    return PriceTable(prices, Decimal(shop["default_price"]), shop["currency"])


class ShopMessages(MessageKind):
    """What automations and campaigns of shops write. `templates` are `shop_templates()`."""

    name = SHOP_MESSAGE
    model = ShopMessage
    job_type = SEND
    loaded = LOADED

    def __init__(self, clock: Clock, mitto: MittoAccess, templates: Sandbox) -> None:
        self.clock = clock
        self.mitto = mitto
        self.templates = templates

    @classmethod
    def tenant_of(cls, row: Any) -> str:
        """The shop."""
        return shop_tenant(row.shop_id)

    @classmethod
    def job_data(cls, row: Any) -> SendData:
        """The row's id, under the request that caused it."""
        return SendData(id=row.id, request_id=row.request_id)

    @classmethod
    def priority(cls, row: Any) -> int:
        """1 for what a buyer waits for, 5 for an automation's promotion, 10 for a campaign's."""
        if row.campaign_id is not None:
            return CAMPAIGN_PRIORITY
        return TRANSACTIONAL_PRIORITY if row.purpose == Purpose.TRANSACTIONAL else PROMOTIONAL_PRIORITY

    @classmethod
    async def timezones(cls, session: AsyncSession, row: Any) -> tuple[str | None, str | None]:
        """The shop's."""
        return None, await session.scalar(select(_SHOP.timezone).where(_SHOP.id == row.shop_id))

    async def load(self, connection: AsyncConnection, rows: Sequence[dict[str, Any]]) -> list[Message]:
        """The messages of claimed rows; those of a paused campaign go back to waiting and have none."""
        paused = [row["id"] for row in rows if row["campaign_status"] == CampaignStatus.PAUSED]
        await return_paused(connection, paused)
        rows = [row for row in rows if row["id"] not in paused]
        rows = [_without_returned(row) for row in rows]
        reached = await reached_among(connection, rows)
        return [self.message(row, Reason.GOAL_REACHED if row["id"] in reached else None) for row in rows]

    personal: ClassVar[Mapping[str, Any]] = {
        **dict.fromkeys(("recipient", "text", "goal_key", "order_key", "error_message")),
        "context": null(),
    }
    of_another = True

    @classmethod
    async def erase_person(cls, work: Work, whom: Addressee) -> Mapping[str, int]:
        """Everything that shops know of them, as `customers/redact` has it erased."""
        # Erasing looks at messages, whose kind this is.
        from tidings.features.shops.privacy.asked import erase_customers

        return await erase_customers(work, whom.ids)

    @classmethod
    def says(cls, row: Any) -> Hashable | None:
        """One campaign says the same to everybody."""
        return None if row.campaign_id is None else (row.shop_id, row.campaign_id)

    @classmethod
    def about(cls, row: Any) -> str:
        """What of a shop it comes from."""
        return "campaign of a shop" if row.campaign_id is not None else f"{row.purpose} message of a shop"

    def message(self, row: Mapping[str, Any], obsolete: Reason | None = None) -> Message:
        """One row of LOADED as a message."""
        account, trouble = None, None
        try:
            account = self.mitto.account_of(row)
        except ConfigurationError as error:
            trouble = str(error)
        return Message(
            id=row["id"],
            contact_id=row["contractor_id"],
            scheduled_time=row["scheduled_time"],
            attempt=row["attempts"],
            channel=CHANNEL,
            address=row["recipient"],
            idempotency_key=self.idempotency_key(row["id"], row["created_at"]),
            row=row,
            terms=TRANSACTIONAL
            if row["purpose"] == Purpose.TRANSACTIONAL
            else campaign_terms(row["campaign_if_blocked"] or IfBlocked.DEFER),
            timezone=row["contractor_timezone"],
            tenant=shop_tenant(row["shop_id"]),
            not_after=row["not_after"],
            obsolete=_obsolete(row) or obsolete,
            provider=Mitto.name if account else None,
            account=account,
            undeliverable=trouble,
        )

    async def compose(self, message: Message) -> Content:
        """The text of one message and the payload beside it. Raises TemplateError."""
        row = message.row
        if row["template"] is not None:
            source, variables = row["template"], from_json(row["context"] or {})
        else:
            source, variables = row["campaign_template"], campaign_variables(row)
        text = self.templates.render(source, variables)
        if not text.strip():
            raise TemplateError("the template gives no text for this recipient")
        return Content(
            text=text,
            metadata={
                "shop_id": row["domain"],
                "message_id": row["id"],
                "message_type": "campaign" if row["campaign_id"] is not None else row["purpose"],
                "automation_id": row["automation_id"],
                "campaign_id": row["campaign_id"],
                "purpose": row["purpose"],
            },
        )

    def columns_when_sent(self, message: Message, content: Content, moment: datetime) -> dict[str, Any]:
        """What was sent, and what it cost."""
        segments = measure(content.text).segments
        price = price_table(message.row).price(country_of(message.address or "")) * segments
        return {"sent_at": moment, "text": content.text, "segments": segments, "price": str(price)}

    async def on_ended(self, connection: AsyncConnection, ended: Sequence[Ended]) -> Sequence[Job]:
        """The next recipients of campaigns are called for.

        Whom a lost call leaves behind, and a campaign that nobody has left of, is found by the look at every running
        campaign once a second (`campaigns/upkeep.py`).
        """
        return await releases_after(connection, ended, self.clock.now())


def _without_returned(row: dict[str, Any]) -> dict[str, Any]:
    """A row whose facts have what is left of its order; none of an order of which nothing is left."""
    facts = row["context"]
    if not row["order_refunds"] or facts is None or not isinstance(facts.get("order"), Mapping):
        return row
    left = without_returned(facts["order"], row["order_refunds"], reading.amount(row["order_total"]))
    return {**row, "context": {**facts, "order": left}}


def _obsolete(row: Mapping[str, Any]) -> Reason | None:
    if row["uninstalled_at"] is not None:
        return Reason.SHOP_UNINSTALLED
    if row["customer_redacted_at"] is not None:
        return Reason.REDACTED
    if not row["automation_active"]:
        return Reason.AUTOMATION_STOPPED
    if row["order_cancelled_at"] is not None:
        return Reason.ORDER_CANCELLED
    if row["order_refunds"] and row["context"] is not None and row["context"].get("order") is None:
        return Reason.RETURNED
    return Reason.CAMPAIGN_CANCELLED if row["campaign_status"] == CampaignStatus.CANCELLED else None


KINDS = (ShopMessages,)
