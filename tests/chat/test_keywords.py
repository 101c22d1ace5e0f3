"""Words of daily life reach the chatbot, and a STOP where one has turned keywords on is about nobody else."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from chat.providers import Provider, signed, text_event, webhook
from chat.support import KNOWLEDGE, NUMBER, USER, Chats, OpenChats
from shops.market import Market
from support.app import client_of
from support.workshop import eventually
from tidings.features.chat.models import ChatMessage, Conversation, Role
from tidings.features.shops.models import ShopCustomer
from tidings.messages.gate.opt_outs import OptOut
from tidings.messages.inbound.notices import Notice
from tidings.messages.inbound.stored import StoredReply
from tidings.messages.statuses import Reason

UNSURE = "Please cancel"
"""It does not say what, so a person decides."""

OTHER_NUMBER, OTHER_SECRET = "106540352242999", "another-app-secret"
WORDS = ("help me", "info", "Start", "cancel", "STOP", "end", "quit", "HELP", "unsubscribe")


async def meta(chats: Chats, text: str, wamid: str, *, sender: str = USER, number: str = NUMBER) -> None:
    """A user writes to a number, as Meta tells it."""
    secret = {"secret": OTHER_SECRET} if number == OTHER_NUMBER else {}
    body = webhook(messages=[text_event(text, wamid, sender)], number=number)
    async with client_of(chats.app) as client:
        answer = await client.post(
            f"/webhooks/whatsapp/cloud/{number}", content=body, headers=signed(body, *secret.values())
        )
    assert answer.status_code == 200


async def outside_the_window(chats: Chats, bot: Any, text: str) -> int:
    """A message that is started after the 24 hours to the user of a bot; its id."""
    [conversation] = await chats.rows(Conversation, chatbot_id=bot.id)
    long_ago = chats.clock.now() - timedelta(hours=25)
    await chats.set(Conversation, conversation.id, last_user_message_at=long_ago)
    return (await chats.reply(bot, conversation.id, text)).id


async def ended(chats: Chats, message_id: int) -> ChatMessage:
    async def has_ended() -> ChatMessage | None:
        row = await chats.message(message_id)
        return row if row.status in ("sent", "failed", "skipped") else None

    found = await eventually(has_ended)
    assert found is not None
    return found


@pytest.mark.parametrize("word", WORDS)
async def test_a_word_that_is_a_keyword_elsewhere_reaches_the_bot(open_chats: OpenChats, word: str) -> None:
    async with Provider() as graph:
        chats = await open_chats(whatsapp_graph_url=graph.url)
        bot = await chats.chatbot(items={"Help, info, start, cancel, stop, end, quit, unsubscribe": "Of course."})
        await chats.cloud_account(bot)
        await chats.start()
        await meta(chats, word, "wamid.1")
        assert [posted.text for posted in await graph.has(1)] == ["Of course."]
        await meta(chats, "Do you stop?", "wamid.2")
        await graph.has(2)
    assert await chats.rows(OptOut) == await chats.rows(StoredReply) == await chats.rows(Notice) == []


@pytest.mark.both_databases
async def test_a_stop_to_one_customers_bot_touches_neither_another_customers_bot_nor_a_shop(
    open_chats: OpenChats,
) -> None:
    template = {"name": "call_us", "language": "en"}
    async with Provider() as graph:
        chats = await open_chats(whatsapp_graph_url=graph.url, quiet_hours="off", frequency_caps="off")
        market = Market(chats.app, None)
        shop = await market.shop()
        [customer_id] = await market.customers(shop)
        [customer] = await chats.rows(ShopCustomer, id=customer_id)
        sender = customer.phone
        first = await chats.shop(keywords=True, whatsapp_template=template)
        second = await chats.shop(keywords=True, whatsapp_template=template)
        await chats.cloud_account(first)
        await chats.cloud_account(second, OTHER_NUMBER, OTHER_SECRET)
        await chats.start()
        await meta(chats, "When are you open?", "wamid.0", sender=sender, number=OTHER_NUMBER)
        await graph.has(1)
        await meta(chats, "STOP", "wamid.1", sender=sender)
        assert "unsubscribed" in (await graph.has(2))[1].text
        # The second customer's bot goes on, asked and unasked; so does the shop.
        await meta(chats, "Can I return it?", "wamid.2", sender=sender, number=OTHER_NUMBER)
        assert "30 days" in (await graph.has(3))[2].text
        assert (await ended(chats, await outside_the_window(chats, second, "News"))).status == "sent"
        campaign = await market.started(shop)
        await market.release(shop)
        [recipient] = await market.rows(campaign)
        assert await market.deliver(recipient.id) == "simulated"
        # What the first one starts is stopped, and who writes to it is answered.
        stopped = await ended(chats, await outside_the_window(chats, first, "News"))
        assert (stopped.status, stopped.status_reason) == ("skipped", Reason.OPTED_OUT)
        count = len(graph.posted)
        await meta(chats, "When are you open?", "wamid.3", sender=sender)
        assert KNOWLEDGE["Opening hours"] in (await graph.has(count + 1))[count].text
        [opt_out] = await chats.rows(OptOut)
        assert (opt_out.tenant, opt_out.channel, opt_out.address) == (
            f"customer:{first.customer_id}",
            "whatsapp",
            sender,
        )


async def test_a_text_that_may_mean_stop_is_answered_and_a_person_is_asked(
    open_chats: OpenChats,
) -> None:
    async with Provider() as graph:
        chats = await open_chats(whatsapp_graph_url=graph.url)
        bot = await chats.chatbot(items={"Cancel an order": "Within an hour."}, keywords=True)
        await chats.cloud_account(bot)
        await chats.start()
        await meta(chats, UNSURE, "wamid.1")
        assert [posted.text for posted in await graph.has(1)] == ["Within an hour."]
    [row] = (await chats.app.opt_outs.list(unsure=True)).rows
    assert (row.tenant, row.address, row.words) == (f"customer:{bot.customer_id}", USER, UNSURE)
    assert [one.needs_person for one in await chats.rows(StoredReply)] == [True]


@pytest.mark.parametrize(
    ("written", "stored"),
    [
        ("4915112345678", "+4915112345678"),
        ("+4915112345678", "+4915112345678"),
        ("447911123456", "+447911123456"),
        ("5215512345678", "+5215512345678"),
        ("US.13491208655302741918", "US.13491208655302741918"),
    ],
)
async def test_a_users_number_is_international_with_or_without_plus_and_an_id_stays_as_it_is(
    chats: Chats, written: str, stored: str
) -> None:
    bot = await chats.chatbot()
    for channel in ("whatsapp_cloud", "whatsapp_qr"):
        await chats.write(bot, "Hello?", channel=channel, external_user_id=written)
    await chats.write(bot, "Hello?", channel="widget", external_user_id=written, via=None)
    assert [row.external_user_id for row in await chats.rows(Conversation)] == [stored, stored, written]


async def test_a_user_who_hides_the_number_is_written_to_by_the_id_and_may_say_stop(open_chats: OpenChats) -> None:
    user_id = "US.13491208655302741918"
    async with Provider() as graph:
        chats = await open_chats(whatsapp_graph_url=graph.url)
        bot = await chats.shop(keywords=True)
        await chats.cloud_account(bot)
        await chats.start()
        event = {**text_event("When are you open?", "wamid.1"), "from_user_id": user_id}
        for text in ("When are you open?", "STOP"):
            hidden = {**event, "id": f"wamid.{text}", "text": {"body": text}}
            del hidden["from"]
            body = webhook(messages=[hidden])
            async with client_of(chats.app) as client:
                await client.post(f"/webhooks/whatsapp/cloud/{NUMBER}", content=body, headers=signed(body))
            await graph.has(1 if text != "STOP" else 2)
        assert [posted.body["recipient"] for posted in graph.posted] == [user_id, user_id]
    assert [row.address for row in await chats.rows(OptOut)] == [user_id]
    assert [row.role for row in await chats.messages(Role.USER)] == ["user", "user"]
