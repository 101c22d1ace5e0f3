"""Silence of before tenants is kept by the upgrade: for every tenant, on every channel, for the whole person."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest
from alembic import command
from sqlalchemy import select, text

from messages.due_messages import EVENT_MESSAGE, MAIL, NOON, PHONE, Provider, message_to, outcome_of
from tidings.app import App
from tidings.clock import ManualClock
from tidings.db import migrate
from tidings.db.database import open_database
from tidings.features.shops.external_jobs import store_told_message
from tidings.features.shops.jobs import SendData
from tidings.messages.gate.consents import find_consents
from tidings.messages.gate.opt_outs import OptOut
from tidings.messages.inbound.reply import IncomingReply
from tidings.messages.ledger import LedgerEntry
from tidings.messages.statuses import Reason
from tidings.messages.tenants import INSTALLATION, Tenant, shop_tenant

pytestmark = pytest.mark.both_databases

OpenApp = Callable[..., Awaitable[App]]
OPTED_OUT = f"skipped: {Reason.OPTED_OUT.sentence}"
OTHER = "+12125550177"
THEN = "'2026-11-01 12:00:00+00:00'"
BEFORE = (
    f"INSERT INTO contractors (id, name, phone, email, vip, created_at, updated_at) VALUES (1, 'Ada', '{PHONE}', "
    f"'{MAIL}', false, {THEN}, {THEN}), (2, 'Ben', '{OTHER}', NULL, false, {THEN}, {THEN})",
    "INSERT INTO shops (id, domain, name, timezone, currency, locale, region, webhook_secret, callback_token, "
    "callback_hash, api_key_hash, sms_prices, default_price, installed_at, created_at, updated_at) VALUES (3, "
    "'amber.myshopify.com', 'Amber', 'Europe/Berlin', 'EUR', 'de', 'DE', 'x', 'x', 'x', 'x', '{}', '0', "
    f"{THEN}, {THEN}, {THEN})",
    "INSERT INTO shop_messages (id, shop_id, contractor_id, deduplication_key, purpose, recipient, scheduled_time, "
    f"status, attempts, created_at, updated_at) VALUES (5, 3, 2, 'k', 'transactional', '{OTHER}', {THEN}, 'sent', 1, "
    f"{THEN}, {THEN})",
    "INSERT INTO deliveries (at, kind, message_id, contact_id, outcome, attempt, channel, provider, "
    f"provider_message_id, inputs) VALUES ({THEN}, 'shop-message', 5, 2, 'sent', 1, 'sms', 'n8n', 'p5', '{{}}')",
    f"INSERT INTO opt_outs (address, contact_id, opted_out_at, source, words) VALUES ('{PHONE}', 1, {THEN}, 'reply', "
    f"'STOP'), ('+5215512345678', NULL, {THEN}, 'api', NULL)",
    "INSERT INTO consents (contact_id, channel, scope, granted, at, source) VALUES "
    f"(2, 'sms', 'shop:3', true, {THEN}, 'shopify'), (2, 'sms', '', false, {THEN}, 'form')",
    "INSERT INTO replies (provider, provider_message_id, sender, contact_id, text, received_at, kind, message_id, "
    f"action_taken, created_at) VALUES ('n8n', 'r1', '{OTHER}', 2, 'Thanks', {THEN}, 'shop-message', 5, "
    f"'reply_recorded', {THEN})",
)
"""What a database of the version before holds."""


@pytest.fixture
async def upgraded(empty_database_url: str) -> str:
    """A database of before tenants, brought up to date."""
    database = open_database(empty_database_url)
    async with database.writer.begin() as connection:
        await connection.run_sync(lambda conn: command.upgrade(migrate._config(conn), "0005"))
        for statement in BEFORE:
            await connection.execute(text(statement))
        await connection.run_sync(lambda conn: command.upgrade(migrate._config(conn), "head"))
    await database.close()
    return empty_database_url


async def test_whoever_had_opted_out_gets_nothing_of_anybody_at_no_address(upgraded: str, open_app: OpenApp) -> None:
    provider = Provider()
    app = await open_app(
        database_url=upgraded, clock=ManualClock(NOON), providers={"sms": provider, "email": provider}
    )
    for channel in ("sms", "email"):
        message = await message_to(app, 1, channel=channel)
        assert await outcome_of(app, EVENT_MESSAGE, message.id) == OPTED_OUT
    order = SendData(shop_id="amber.myshopify.com", recipient=PHONE, template="Order 1", purpose="transactional")
    told = await store_told_message(app.work, order, "request-1")
    assert await outcome_of(app, "shop-message", told) == OPTED_OUT
    for address in ("+525512345678", "+5215512345678"):
        assert not await app.opt_outs.add(address), "it is opted out already, however the number is written"
    assert provider.asked == []


async def test_a_start_ends_what_a_reply_had_said_by_a_door_of_the_installation_only(
    upgraded: str, open_app: OpenApp
) -> None:
    app = await open_app(database_url=upgraded, clock=ManualClock(NOON), providers={"sms": Provider()})
    by_shop = IncomingReply("mitto", "r2", PHONE, "START", tenant="shop:3")
    assert (await app.inbound.receive_reply(by_shop)).action_taken == "still_opted_out"  # and that is what it is told
    message = await message_to(app, 1)
    assert await outcome_of(app, EVENT_MESSAGE, message.id) == OPTED_OUT
    await app.inbound.receive_reply(IncomingReply("n8n", "r3", PHONE, "START"))
    message = await message_to(app, 1)
    assert await outcome_of(app, EVENT_MESSAGE, message.id) == "sent"
    async with app.work.read() as session:
        [row] = await session.scalars(select(OptOut).where(OptOut.address == PHONE))
    assert (row.tenant, row.channel, row.words, row.ended_by) == ("*", "*", "STOP", "n8n")


async def test_what_was_a_shops_is_that_tenants(upgraded: str, open_app: OpenApp) -> None:
    app = await open_app(database_url=upgraded, clock=ManualClock(NOON), providers={"sms": Provider()})
    shop = shop_tenant(3)
    async with app.work.read() as session:
        tenant = await session.get_one(Tenant, shop)
        assert (tenant.name, tenant.timezone) == ("Amber", "Europe/Berlin")
        assert [line.tenant for line in await session.scalars(select(LedgerEntry))] == [shop]
        consents = await find_consents(session, [2])
        assert consents.granted(2, "sms", shop, OTHER) is True
        assert consents.granted(2, "sms", INSTALLATION, OTHER) is False
    received = await app.inbound.receive_reply(IncomingReply("n8n", "r4", OTHER, "STOP"))
    assert (received.action_taken, received.tenant) == ("opted_out", shop)
    again = await app.inbound.receive_reply(IncomingReply("n8n", "r1", OTHER, "Thanks"))
    assert (again.duplicate, again.tenant) == (True, shop)
