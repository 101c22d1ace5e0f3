"""Who tells WhatsApp to get no marketing messages of a business gets none of them, and everything else."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from chat.providers import Provider, preference, refusal, signed, status_event, webhook
from chat.support import NUMBER, USER, Chats, OpenChats
from support.app import client_of
from tidings.features.chat.models import ChatMessage, Conversation
from tidings.messages.gate.opt_outs import OptOut
from tidings.messages.statuses import Reason

TEMPLATE = {"name": "we_have_news", "language": "en_US", "with_text": True, "category": "marketing"}
USER_ID = "US.13491208655302741918"
ENDED = ("sent", "failed", "skipped")
SENDS = ("outgoing-messages", "whatsapp-cloud-send")


async def told(chats: Chats, *preferences: dict[str, Any], number: str = NUMBER) -> dict[str, int]:
    body = webhook(preferences=list(preferences), number=number)
    async with client_of(chats.app) as client:
        answer = await client.post(f"/webhooks/whatsapp/cloud/{number}", content=body, headers=signed(body))
    assert answer.status_code == 200
    taken: dict[str, int] = answer.json()
    return taken


async def holding(chats: Chats) -> list[OptOut]:
    return [row for row in await chats.rows(OptOut) if row.ended_at is None]


async def started(chats: Chats, bot: Any, text: str = "Big sale", **more: Any) -> int:
    """A message that somebody of the customer's writes after the 24 hours; its id."""
    stored = await chats.write(bot, "Hello?", **more)
    long_ago = chats.clock.now() - timedelta(hours=25)
    await chats.set(Conversation, stored.conversation_id, last_user_message_at=long_ago)
    return (await chats.reply(bot, stored.conversation_id, text)).id


async def ended(chats: Chats, message_id: int) -> ChatMessage:
    await chats.answers(len(await chats.messages()), status=ENDED)
    return await chats.message(message_id)


@pytest.mark.both_databases
async def test_stop_is_an_opt_out_of_that_customers_promotions_until_resume(chats: Chats) -> None:
    bot = await chats.chatbot()
    await chats.cloud_account(bot)
    stop = preference("stop")
    taken = await asyncio.gather(*(told(chats, stop) for _ in range(4)))
    assert {one["preferences"] for one in taken} == {1}
    [row] = await holding(chats)
    assert (row.address, row.channel, row.stops) == (USER, "whatsapp", "promotional")
    assert row.tenant == f"customer:{bot.customer_id}"
    assert row.door == f"whatsapp_cloud:customer:{bot.customer_id}:{NUMBER}"
    assert row.words == "User requested to stop marketing messages"
    await told(chats, preference("resume", at=stop["timestamp"] + 60))
    assert await holding(chats) == []
    await told(chats, stop)  # told once more, long after
    assert await holding(chats) == []
    assert len(await chats.rows(OptOut)) == 1


async def test_an_older_resume_that_comes_late_ends_nothing(chats: Chats) -> None:
    await chats.cloud_account(await chats.chatbot())
    stop = preference("stop")
    await told(chats, stop)
    await told(chats, preference("resume", at=stop["timestamp"] - 60))
    assert len(await holding(chats)) == 1


async def test_a_user_without_a_number_is_known_by_the_id_and_one_with_both_by_both(chats: Chats) -> None:
    await chats.cloud_account(await chats.chatbot())
    hidden = preference("stop", user_id=USER_ID)
    del hidden["wa_id"]
    await told(chats, hidden)
    assert [row.address for row in await holding(chats)] == [USER_ID]
    await told(chats, preference("stop", user_id="US.2"))
    assert [row.address for row in await holding(chats)] == [USER_ID, USER, "US.2"]


async def test_another_customers_numbers_are_nobodys_business(chats: Chats) -> None:
    await chats.cloud_account(await chats.chatbot())
    await chats.cloud_account(await chats.chatbot(), "106540352242999", "another-app-secret")
    body = webhook(preferences=[preference("stop")], number="106540352242999")
    async with client_of(chats.app) as client:
        answer = await client.post(f"/webhooks/whatsapp/cloud/{NUMBER}", content=body, headers=signed(body))
    assert (answer.json()["preferences"], answer.json()["ignored"]) == (0, 1)
    assert await holding(chats) == []


@pytest.mark.parametrize(("category", "status"), [("marketing", "skipped"), ("utility", "sent")])
async def test_after_stop_no_marketing_template_goes_out_and_every_other_message_does(
    open_chats: OpenChats, category: str, status: str
) -> None:
    async with Provider() as graph:
        chats = await open_chats(whatsapp_graph_url=graph.url)
        bot = await chats.chatbot(whatsapp_template={**TEMPLATE, "category": category})
        await chats.cloud_account(bot)
        await told(chats, preference("stop"))
        await chats.start(*SENDS)
        row = await ended(chats, await started(chats, bot))
        assert (row.status, row.status_reason == Reason.OPTED_OUT) == (status, status == "skipped")
        stored = await chats.write(bot, "When are you open?")
        answer = await chats.reply(bot, stored.conversation_id, "From 9 to 5.")
        assert (await ended(chats, answer.id)).status == "sent"


@pytest.mark.both_databases
async def test_when_meta_refuses_a_marketing_message_for_it_no_further_one_is_tried(open_chats: OpenChats) -> None:
    async with Provider(lambda posted: refusal(131050) if "template" in posted.body else None) as graph:
        chats = await open_chats(whatsapp_graph_url=graph.url)
        bot = await chats.chatbot(whatsapp_template=TEMPLATE)
        await chats.cloud_account(bot)
        await chats.start(*SENDS)
        assert (await ended(chats, await started(chats, bot))).status == "failed"
        [row] = await holding(chats)
        assert (row.address, row.stops, row.tenant) == (USER, "promotional", f"customer:{bot.customer_id}")
        assert row.door == f"whatsapp_cloud:customer:{bot.customer_id}:{NUMBER}"
        assert "131050" in (row.words or "")
        assert (await ended(chats, await started(chats, bot))).status == "skipped"
        assert len(graph.posted) == 1


async def test_a_status_that_says_so_counts_as_well(chats: Chats) -> None:
    await chats.cloud_account(await chats.chatbot())
    failed = status_event("failed", "wamid.out1", errors=[{"code": 131050, "title": "User stopped marketing"}])
    body = webhook(statuses=[failed])
    async with client_of(chats.app) as client:
        await client.post(f"/webhooks/whatsapp/cloud/{NUMBER}", content=body, headers=signed(body))
    [row] = await holding(chats)
    assert (row.address, row.stops) == (USER, "promotional")
