"""Tables of the shops: who they are, who buys there, what happened, and the messages that follow from it.

Amounts are decimals written as text, in main units.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, ForeignKey, Index, String, Text, UniqueConstraint
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from tidings.db.base import Base, BigId, Json
from tidings.messages.kind import OPEN_ROWS, MessageColumns, only

OptionalJson = JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")


class Shop(Base):
    """A shop. `domain` is its permanent one, such as blossom.myshopify.com.

    `webhook_secret`, `previous_webhook_secret` (which Shopify may still sign with after a rotation),
    `mitto_api_key` and `callback_token` are sealed by the vault; of the API key and the token only SHA-256 digests
    can be looked up, of the token that of the one before a rotation too. `sms_prices` are prices of a segment by
    region or calling code. Who texts `join_keyword` signs up for campaigns; with `double_opt_in` they are asked once
    more, and None leaves that to the country (`rules/sign_up.py`). After `uninstalled_at` nothing leaves any more.
    """

    __tablename__ = "shops"
    __table_args__ = (
        UniqueConstraint("domain"),
        UniqueConstraint("api_key_hash"),
        UniqueConstraint("callback_hash"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    domain: Mapped[str] = mapped_column(String(255))
    name: Mapped[str] = mapped_column(String(200))
    timezone: Mapped[str] = mapped_column(String(64))
    currency: Mapped[str] = mapped_column(String(3))
    locale: Mapped[str] = mapped_column(String(35), default="en")
    region: Mapped[str] = mapped_column(String(2))
    sender: Mapped[str | None] = mapped_column(String(20), default=None)
    webhook_secret: Mapped[str] = mapped_column(Text)
    previous_webhook_secret: Mapped[str | None] = mapped_column(Text, default=None)
    mitto_api_key: Mapped[str | None] = mapped_column(Text, default=None)
    callback_token: Mapped[str] = mapped_column(Text)
    callback_hash: Mapped[str] = mapped_column(String(64))
    previous_callback_hash: Mapped[str | None] = mapped_column(String(64), default=None)
    api_key_hash: Mapped[str] = mapped_column(String(64))
    sms_prices: Mapped[dict[str, Any]] = mapped_column(default=dict)
    default_price: Mapped[str] = mapped_column(String(32), default="0")
    join_keyword: Mapped[str | None] = mapped_column(String(40), default="JOIN")
    double_opt_in: Mapped[bool | None] = mapped_column(default=None)
    installed_at: Mapped[datetime]
    uninstalled_at: Mapped[datetime | None] = mapped_column(default=None)
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class ShopCustomer(Base):
    """Somebody who buys in a shop. `customer_key` is the shop's id, or `email:…` or `phone:…` of a guest.

    `contractor_id` is the contact with the same phone number, `former_contacts` are those of numbers before.
    `as_of` is the time of the newest event that the profile was read from; after `redacted_at` nothing personal is
    kept.
    """

    __tablename__ = "shop_customers"
    __table_args__ = (
        UniqueConstraint("shop_id", "customer_key"),
        Index(None, "shop_id", "email"),
        Index(None, "shop_id", "phone"),
        Index(None, "contractor_id"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    shop_id: Mapped[int] = mapped_column(ForeignKey("shops.id"))
    contractor_id: Mapped[int | None] = mapped_column(ForeignKey("contractors.id"), default=None)
    former_contacts: Mapped[list[int]] = mapped_column(Json, default=list)
    customer_key: Mapped[str] = mapped_column(String(300))
    first_name: Mapped[str | None] = mapped_column(String(100), default=None)
    last_name: Mapped[str | None] = mapped_column(String(100), default=None)
    email: Mapped[str | None] = mapped_column(String(500), default=None)
    phone: Mapped[str | None] = mapped_column(String(20), default=None)
    country: Mapped[str | None] = mapped_column(String(2), default=None)
    locale: Mapped[str | None] = mapped_column(String(35), default=None)
    tags: Mapped[list[str]] = mapped_column(Json, default=list)
    orders_count: Mapped[int] = mapped_column(default=0)
    total_spent: Mapped[str] = mapped_column(String(64), default="0")
    first_order_at: Mapped[datetime | None] = mapped_column(default=None)
    last_order_at: Mapped[datetime | None] = mapped_column(default=None)
    sms_consent: Mapped[str | None] = mapped_column(String(40), default=None)
    sms_consent_at: Mapped[datetime | None] = mapped_column(default=None)
    as_of: Mapped[datetime]
    redacted_at: Mapped[datetime | None] = mapped_column(default=None)
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class ShopOrder(Base):
    """An order, as far as messages need it. `checkout_token` is what it has in common with its checkout.

    `as_of` is the time of the newest payload that it was read from. A deleted one is `cancelled_at`, too. `refunds`
    is what `rules/refunds.py` keeps, `parcels` what `customers/parcels.py` does. `counted` is what it adds to its
    customer's `total_spent`: its total without what went back, nothing once it was cancelled; None until then.
    """

    __tablename__ = "shop_orders"
    __table_args__ = (
        UniqueConstraint("shop_id", "order_key"),
        Index(None, "shop_id", "checkout_token"),
        Index(None, "customer_id"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    shop_id: Mapped[int] = mapped_column(ForeignKey("shops.id"))
    order_key: Mapped[str] = mapped_column(String(255))
    customer_id: Mapped[int | None] = mapped_column(ForeignKey("shop_customers.id"), default=None)
    checkout_token: Mapped[str | None] = mapped_column(String(255), default=None)
    name: Mapped[str | None] = mapped_column(String(100), default=None)
    placed_at: Mapped[datetime | None] = mapped_column(default=None)
    paid_at: Mapped[datetime | None] = mapped_column(default=None)
    fulfilled_at: Mapped[datetime | None] = mapped_column(default=None)
    cancelled_at: Mapped[datetime | None] = mapped_column(default=None)
    total: Mapped[str | None] = mapped_column(String(64), default=None)
    currency: Mapped[str | None] = mapped_column(String(3), default=None)
    titles: Mapped[list[str]] = mapped_column(Json, default=list)
    source_name: Mapped[str | None] = mapped_column(String(500), default=None)
    refunds: Mapped[dict[str, Any] | None] = mapped_column(OptionalJson, default=None)
    parcels: Mapped[dict[str, Any] | None] = mapped_column(OptionalJson, default=None)
    counted: Mapped[str | None] = mapped_column(String(64), default=None)
    as_of: Mapped[datetime | None] = mapped_column(default=None)
    is_test: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class ShopWebhookEvent(Base):
    """One thing that a shop told, taken in once by its `event_id`.

    `triggered_at` is when Shopify says that it happened, `processed_at` is when its facts were stored, `evaluated_at`
    when the automations were asked. `missing` are sentences about what the payload lacks, `evaluation` has for each
    automation what came of it. `error` is set when it was given up; then only a dead letter brings it back.
    """

    __tablename__ = "shop_webhook_events"
    __table_args__ = (
        UniqueConstraint("shop_id", "event_id"),
        Index(None, "received_at"),
        Index("ix_shop_webhook_events_unfinished", "received_at", **only("evaluated_at IS NULL AND error IS NULL")),
        Index(None, "customer_id"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    shop_id: Mapped[int] = mapped_column(ForeignKey("shops.id"))
    event_id: Mapped[str] = mapped_column(String(255))
    topic: Mapped[str] = mapped_column(String(64))
    object_id: Mapped[str | None] = mapped_column(String(255), default=None)
    customer_id: Mapped[int | None] = mapped_column(ForeignKey("shop_customers.id"), default=None)
    raw: Mapped[dict[str, Any] | None] = mapped_column(OptionalJson, default=None)
    request_id: Mapped[str] = mapped_column(String(100))
    triggered_at: Mapped[datetime | None] = mapped_column(default=None)
    received_at: Mapped[datetime]
    processed_at: Mapped[datetime | None] = mapped_column(default=None)
    evaluated_at: Mapped[datetime | None] = mapped_column(default=None)
    error: Mapped[str | None] = mapped_column(Text, default=None)
    missing: Mapped[list[str]] = mapped_column(Json, default=list)
    evaluation: Mapped[dict[str, Any]] = mapped_column(default=dict)


class ShopIgnoredTopic(Base):
    """What a shop tells and nobody uses: the topic, and how often it came. Nothing of its payloads is kept."""

    __tablename__ = "shop_ignored_topics"
    __table_args__ = (UniqueConstraint("shop_id", "topic"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    shop_id: Mapped[int] = mapped_column(ForeignKey("shops.id"))
    topic: Mapped[str] = mapped_column(String(64))
    count: Mapped[int] = mapped_column(BigInteger, default=0)
    first_at: Mapped[datetime]
    last_at: Mapped[datetime]


class ShopMessage(MessageColumns, Base):
    """One message of an automation or a campaign.

    `template` and `context` (the event's facts) are an automation's; a campaign's message has neither, its text is
    made from the campaign's template and the customer. `triggered_at` is when the event happened: an event of
    `goal_topic` for the checkout `goal_key`, or for the customer since then, makes the message pointless. So does a
    cancellation of the order `order_key`, and a return of what the message is about.
    `text`, `segments` and `price` (of all segments together) are those that left. `retried_at` is when a message that
    had failed for good was tried once more.
    """

    __tablename__ = "shop_messages"
    __table_args__ = (
        UniqueConstraint("shop_id", "deduplication_key"),
        Index(None, "scheduled_time", "id", **OPEN_ROWS),
        # A message is of an automation or of a campaign; of what it has not, no index needs to know.
        Index(None, "campaign_id", "status", "scheduled_time", **only("campaign_id IS NOT NULL")),
        Index(None, "automation_id", "status", **only("automation_id IS NOT NULL")),
        Index(None, "shop_id", "goal_key", **only("goal_key IS NOT NULL")),
        Index(None, "shop_id", "order_key", **only("order_key IS NOT NULL")),
        Index(None, "customer_id", "status"),
        Index(None, "contractor_id"),
        Index(None, "sent_at", **only("sent_at IS NOT NULL")),
    )

    shop_id: Mapped[int] = mapped_column(ForeignKey("shops.id"))
    customer_id: Mapped[int | None] = mapped_column(ForeignKey("shop_customers.id"), default=None)
    contractor_id: Mapped[int | None] = mapped_column(ForeignKey("contractors.id"), default=None)
    automation_id: Mapped[int | None] = mapped_column(
        ForeignKey("shop_automations.id", ondelete="SET NULL"), default=None
    )
    campaign_id: Mapped[int | None] = mapped_column(ForeignKey("shop_campaigns.id"), default=None)
    deduplication_key: Mapped[str] = mapped_column(String(300))
    purpose: Mapped[str] = mapped_column(String(16))
    recipient: Mapped[str | None] = mapped_column(String(20), default=None)
    template: Mapped[str | None] = mapped_column(Text, default=None)
    context: Mapped[dict[str, Any] | None] = mapped_column(OptionalJson, default=None)
    triggered_at: Mapped[datetime | None] = mapped_column(default=None)
    goal_topic: Mapped[str | None] = mapped_column(String(64), default=None)
    goal_key: Mapped[str | None] = mapped_column(String(255), default=None)
    order_key: Mapped[str | None] = mapped_column(String(255), default=None)
    text: Mapped[str | None] = mapped_column(Text, default=None)
    segments: Mapped[int | None] = mapped_column(default=None)
    price: Mapped[str | None] = mapped_column(String(32), default=None)
    request_id: Mapped[str | None] = mapped_column(String(100), default=None)
    not_after: Mapped[datetime | None] = mapped_column(default=None)
    sent_at: Mapped[datetime | None] = mapped_column(default=None)
    retried_at: Mapped[datetime | None] = mapped_column(default=None)
