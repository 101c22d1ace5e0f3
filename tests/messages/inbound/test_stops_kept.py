"""A STOP is neither lost nor taken back by what comes before it, beside it or years later."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import delete, select, update

from messages.due_messages import EVENT_MESSAGE, MINUTE, NOON, PHONE, Provider, message_to, outcome_of, person_of
from tidings.app import App
from tidings.clock import ManualClock
from tidings.errors import NotFound
from tidings.features.shops.external_jobs import store_told_message
from tidings.features.shops.jobs import SendData
from tidings.messages.contacts.contractors import Contractor
from tidings.messages.contacts.unsubscribing import Unsubscribing
from tidings.messages.gate.opt_outs import OptOut
from tidings.messages.inbound.notices import Notice
from tidings.messages.inbound.reply import IncomingReply, Received
from tidings.messages.inbound.reports import StatusUpdate
from tidings.messages.ledger import DeliveryStatus, LedgerEntry
from tidings.messages.statuses import Reason

OpenApp = Callable[..., Awaitable[App]]
OTHER = "+12125550177"
CEDAR, DATE = "cedar.myshopify.com", "date.myshopify.com"
OPTED_OUT = f"skipped: {Reason.OPTED_OUT.sentence}"


@pytest.fixture
async def app(open_app: OpenApp, database_url: str) -> App:
    """Two shops without accounts of their own, so that everybody writes through the installation's."""
    providers = {"sms": Provider(), "email": Provider(), "mitto": Provider()}
    app = await open_app(database_url=database_url, clock=ManualClock(NOON), providers=providers)
    for domain in (CEDAR, DATE):
        name = domain.partition(".")[0].title()
        await app.shops.accounts.create({"domain": domain, "name": name, "webhook_secret": "webhook secret"})
    return app


_number = iter(range(1, 10_000))


async def order(app: App, shop: str, phone: str = PHONE) -> Any:
    """A shop's transactional message: what became of it."""
    number = next(_number)
    data = SendData(shop_id=shop, recipient=phone, template=f"Order {number}", purpose="transactional")
    message_id = await store_told_message(app.work, data, f"request-{number}")
    return await outcome_of(app, "shop-message", message_id, last=True)


async def hear(app: App, text: str, sender: str = PHONE, **more: Any) -> Received:
    return await app.inbound.receive_reply(IncomingReply("n8n", f"r{next(_number)}", sender, text, **more))


async def rows(app: App, model: Any) -> list[Any]:
    async with app.work.read() as session:
        return list(await session.scalars(select(model).order_by(model.id)))


async def test_an_id_that_a_provider_gives_twice_loses_nobodys_stop(app: App) -> None:
    first = await app.inbound.receive_reply(IncomingReply("n8n", "x1", PHONE, "Thanks"))
    second = await app.inbound.receive_reply(IncomingReply("n8n", "x1", OTHER, "STOP"))
    third = await app.inbound.receive_reply(IncomingReply("n8n", "x1", PHONE, "STOP"))
    assert [one.duplicate for one in (first, second, third)] == [False, False, False]
    for again in ((PHONE, "Thanks"), (OTHER, "STOP"), (PHONE, "STOP")):
        assert (await app.inbound.receive_reply(IncomingReply("n8n", "x1", *again))).duplicate
    assert [row.address for row in await rows(app, OptOut)] == [OTHER, PHONE]


async def test_a_start_that_was_said_before_a_stop_does_not_end_it_however_late_it_comes(app: App) -> None:
    await hear(app, "STOP", received_at=NOON - MINUTE)
    late = await hear(app, "START", received_at=NOON - 5 * MINUTE)
    assert late.action_taken == "still_opted_out"
    assert (await hear(app, "START", received_at=NOON)).action_taken == "opted_in"


async def test_who_is_still_opted_out_is_not_told_to_be_subscribed(app: App) -> None:
    await app.opt_outs.add(PHONE)
    assert (await hear(app, "START")).action_taken == "still_opted_out"
    [notice] = await rows(app, Notice)
    assert notice.text.startswith("Tidings: you are still unsubscribed")


async def test_a_reference_to_somebody_elses_message_is_none(app: App) -> None:
    await order(app, CEDAR, OTHER)
    await order(app, DATE, PHONE)
    [cedars, _] = await rows(app, LedgerEntry)
    received = await hear(app, "STOP", in_reply_to=cedars.provider_message_id)
    assert received.tenant == "shop:2"
    assert await order(app, DATE) == OPTED_OUT
    assert await order(app, CEDAR) == "sent"


@pytest.mark.parametrize("lost", ["the ledger's lines", "the number of the contact", "the person"])
async def test_a_stop_years_later_concerns_everybody_who_ever_wrote(app: App, lost: str) -> None:
    person = await person_of(app)
    for shop in (CEDAR, DATE):
        assert await order(app, shop) == "sent"
    if lost == "the person":
        await app.contacts.erase(person)
    else:
        async with app.work.begin() as unit:
            if lost == "the ledger's lines":
                await unit.session.execute(delete(LedgerEntry))
            else:
                await unit.session.execute(update(Contractor).values(phone=OTHER))
    await hear(app, "STOP")
    for shop in (CEDAR, DATE):
        assert await order(app, shop) == OPTED_OUT
    assert {row.tenant for row in await rows(app, OptOut)} >= {"shop:1", "shop:2"}


async def test_what_may_mean_stop_waits_for_a_person_also_when_promotions_were_unsubscribed(app: App) -> None:
    await hear(app, "Please cancel", "ada@example.com")
    token = app.parts.links.token("installation", "ada@example.com")
    pages = Unsubscribing(app.work, app.parts.links, app.parts.sender, app.parts.reach)
    await pages.stop(token)
    await pages.undo(token)
    assert len((await app.opt_outs.list(unsure=True)).rows) == 1


async def test_a_tenants_own_door_reports_nothing_about_another_tenants_message(app: App) -> None:
    await app.shops.accounts.change(CEDAR, {"sender": "Cedar", "mitto_api_key": "a secret key"})
    await order(app, CEDAR)
    [line] = await rows(app, LedgerEntry)
    name = f"shop-message-{line.message_id}"
    told = StatusUpdate(DeliveryStatus.DELIVERED, message=name, tenant="shop:1")
    assert await app.inbound.receive_status(told)
    with pytest.raises(NotFound, match="there is no sent message"):
        await app.inbound.receive_status(StatusUpdate(DeliveryStatus.READ, message=name, tenant="shop:2"))


async def test_consent_counts_for_the_number_that_it_was_given_for(app: App) -> None:
    person = await person_of(app)
    await app.contacts.add_address(person, OTHER)
    await app.consents.record(PHONE, granted=False, tenant="installation")
    app.clock.move(timedelta(minutes=1))  # type: ignore[attr-defined]
    await app.consents.record(OTHER, granted=True, tenant="installation")
    follow_up = await app.followups.schedule_follow_up(
        {
            "contractor_id": person,
            "scheduled_time": app.clock.now(),
            "followup_type": "check_in",
            "message_template": "Hi",
        }
    )
    assert await outcome_of(app, "follow-up", follow_up.id) == f"skipped: {Reason.CONSENT_REVOKED.sentence}"
    assert await outcome_of(app, EVENT_MESSAGE, (await message_to(app, person)).id) == "sent"
