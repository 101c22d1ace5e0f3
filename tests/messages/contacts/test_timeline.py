"""One person's story over all five message systems, and why they did not get something."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest

from messages.due_messages import DAY, EVENT_MESSAGE, FOLLOW_UP, NOON, Provider, follow_up_to, message_to, outcome_of
from support.app import client_of
from tidings.app import App
from tidings.clock import ManualClock
from tidings.errors import Conflict, InvalidInput, NotFound
from tidings.features.chat.conversations.store import store_message
from tidings.features.events.kind import EventMessages
from tidings.features.proactive.models import ProactiveMessage
from tidings.features.shops.models import ShopMessage
from tidings.messages.contacts.contractors import Contractor
from tidings.messages.inbound.reply import IncomingReply
from tidings.messages.inbound.reports import StatusUpdate
from tidings.messages.ledger import DeliveryStatus
from tidings.messages.statuses import Status

OpenApp = Callable[..., Awaitable[App]]
PHONE, MAIL = "+12125550123", "ada@example.com"
MINUTE = timedelta(minutes=1)

pytestmark = pytest.mark.both_databases


@pytest.fixture
async def app(open_app: OpenApp, database_url: str) -> App:
    return await open_app(clock=ManualClock(NOON), database_url=database_url, providers={"sms": Provider()})


async def person(app: App, name: str = "Ada Abara", **more: Any) -> Contractor:
    stored, _ = await app.events.create_contractor({"name": name, "timezone": "America/New_York", **more})
    return stored


async def reply(app: App, text: str) -> Any:
    return await app.inbound.receive_reply(IncomingReply("n8n", f"SM{text}", PHONE, text))


async def live_through_everything(app: App) -> tuple[Contractor, dict[str, str]]:
    """Ada is written to by every system, answers, opts out, and more waits for her; the messages' names."""
    ada = await person(app, phone=PHONE, email=MAIL)
    sent = await message_to(app, ada.id)
    assert "sent" in await outcome_of(app, EVENT_MESSAGE, sent.id)
    key = f"{EventMessages.idempotency_key(sent.id, sent.created_at)}"
    await app.inbound.receive_status(StatusUpdate(DeliveryStatus.DELIVERED, key, None, app.clock.now(), None))
    app.clock.move(MINUTE)
    await app.consents.record(ada.id, granted=True, source="form")
    app.clock.move(MINUTE)
    await reply(app, "Thanks, great!")
    app.clock.move(MINUTE)
    shop, _ = await app.shops.accounts.create(
        {"domain": "a.myshopify.com", "name": "A", "timezone": "UTC", "currency": "USD", "webhook_secret": "s" * 20}
    )
    customer = await app.chat.accounts.create_customer({"name": "C"})
    chatbot = await app.chat.accounts.create_chatbot({"customer_id": customer.id, "name": "Bot"})
    chat = {
        "chatbot_id": chatbot.id,
        "channel": "whatsapp_cloud",
        "external_user_id": PHONE,
        "content": "Open today?",
    }
    stored = await store_message(app.work, chat)
    app.clock.move(MINUTE)
    skipped = await follow_up_to(app, ada.id)
    await reply(app, "STOP")
    assert "opted out" in await outcome_of(app, FOLLOW_UP, skipped.id)
    now, times = app.clock.now(), {"created_at": app.clock.now(), "updated_at": app.clock.now()}
    planned = await follow_up_to(app, ada.id, scheduled_time=now + DAY)
    async with app.work.begin() as unit:
        proactive = ProactiveMessage(
            contractor_id=ada.id, message_type="stalled_goal", message_content="Hi", ai_reasoning="r",
            deduplication_key="k", channel="sms", subject="s", useful_until=now + 3 * DAY,
            scheduled_time=now + 2 * DAY, status=Status.WAITING, **times,
        )  # fmt: skip
        campaign = ShopMessage(
            shop_id=shop.id, contractor_id=ada.id, deduplication_key="k", purpose="transactional", recipient=PHONE,
            template="Hi", scheduled_time=now + 3 * DAY, status=Status.SCHEDULED, **times,
        )  # fmt: skip
        unit.session.add_all([proactive, campaign])
    names = {
        "sent": f"event-message-{sent.id}",
        "skipped": f"follow-up-{skipped.id}",
        "planned": f"follow-up-{planned.id}",
        "proactive": f"proactive-message-{proactive.id}",
        "shop": f"shop-message-{campaign.id}",
        "chat": f"chat-message-{stored.message_id}",
    }
    return ada, names


async def test_everything_that_happened_and_is_to_happen_stands_in_one_row_the_newest_first(app: App) -> None:
    ada, names = await live_through_everything(app)
    page = await app.contacts.timeline(ada.id)
    assert page.cursor is None
    found = [(entry.what, entry.message) for entry in page.entries]
    assert found[:3] == [("planned", names[one]) for one in ("shop", "proactive", "planned")]
    assert [entry.about for entry in page.entries if entry.what == "planned"][3] == "notice, opt out confirmation"
    assert {what for what, _ in found} == {"planned", "skipped", "reply", "opted_out", "chat", "consent", "sent"}
    assert [entry.at for entry in page.entries] == sorted((entry.at for entry in page.entries), reverse=True)
    said = {entry.what: entry for entry in page.entries}
    assert "the recipient has opted out" in " ".join(said["skipped"].sentences)
    assert said["sent"].about == "sponsor recommendation"
    assert said["sent"].delivery_status == "DELIVERED"
    assert said["chat"].sentences == ("They wrote 'Open today?'.",)
    assert said["chat"].message == names["chat"]
    assert "STOP" in " ".join(said["opted_out"].sentences)
    assert said["consent"].sentences == ("They consented (form).",)


async def test_pages_of_any_size_tell_the_same_story(app: App) -> None:
    ada, _ = await live_through_everything(app)
    whole = (await app.contacts.timeline(ada.id, limit=500)).entries
    for size in (1, 2, 3):
        found: list[Any] = []
        cursor = None
        while True:
            page = await app.contacts.timeline(ada.id, cursor=cursor, limit=size)
            found += page.entries
            if (cursor := page.cursor) is None:
                break
        assert found == list(whole), size
    for cursor in ("", "x", "1.2", f"{'9' * 18}.0.1"):
        with pytest.raises(InvalidInput, match="leave it out"):
            await app.contacts.timeline(ada.id, cursor=cursor)
    with pytest.raises(NotFound):
        await app.contacts.timeline(99)


async def test_another_persons_story_is_not_told(app: App) -> None:
    await live_through_everything(app)
    ben = await person(app, "Ben Boyd", phone="+12125550177")
    assert (await app.contacts.timeline(ben.id)).entries == []


async def test_why_somebody_did_not_get_it_is_asked_by_name(app: App) -> None:
    ada, names = await live_through_everything(app)
    assert await app.contacts.identify("ada abara") == ada.id
    story = await app.contacts.why(ada.id)
    assert "opted out" in " ".join(story.sentences)
    told = {one.message: one for one in story.messages}
    assert told[names["skipped"]].sentence == "It was not sent: the recipient has opted out."
    assert told[names["sent"]].sentence == "It was sent."
    about_event = await app.contacts.why(ada.id, event="1")
    assert [one.message for one in about_event.messages] == [names["sent"]]
    with pytest.raises(NotFound, match="event"):
        await app.contacts.why(ada.id, event="no-such-event")


async def test_without_a_message_it_says_what_is_missing(app: App) -> None:
    event = await app.events.create_event({"name": "Conf", "slug": "conf", "date": "2027-05-01", "timezone": "UTC"})
    ben = await person(app, "Ben Boyd", email="ben@example.com")
    story = await app.contacts.why(ben.id, event="conf")
    assert story.messages == []
    assert story.sentences == [
        "They have no phone number, so no SMS can reach them.",
        "They are not registered for Conf, so nothing was planned for them.",
    ]
    await app.events.register(event.id, {"contractor_id": ben.id})
    assert (await app.contacts.why(ben.id, event="conf")).messages != []
    nobody = await person(app, "Cyd Cole", phone="+12125550188")
    assert (await app.contacts.why(nobody.id)).sentences == ["Nothing was ever written to them or planned for them."]


async def test_a_name_that_several_have_is_answered_with_all_of_them(app: App) -> None:
    await person(app, phone=PHONE)
    await person(app, phone="+12125550177")
    with pytest.raises(Conflict, match=r"contact-1 \(Ada Abara, \+12125550123\); contact-2 .*say which by its name"):
        await app.contacts.identify("Ada Abara")
    assert await app.contacts.identify("contact-2") == await app.contacts.identify("2") == 2
    with pytest.raises(NotFound, match="person 'Zoe'"):
        await app.contacts.identify("Zoe")


async def test_people_are_looked_at_and_changed_over_http(app: App) -> None:
    ada, names = await live_through_everything(app)
    async with client_of(app) as http:
        found = (await http.get("/contacts/search", params={"query": "ada"})).json()
        assert [hit["contact"]["id"] for hit in found["hits"]] == [ada.id]
        listed = (await http.get("/contacts", params={"name": "ada", "phone": PHONE})).json()
        assert [one["name"] for one in listed["contacts"]] == ["Ada Abara"]
        assert [one["id"] for one in (await http.get("/contractors", params={"name": "zoe"})).json()] == []
        assert [one["id"] for one in (await http.get("/contractors")).json()] == [ada.id]
        shown = (await http.get(f"/contacts/{ada.id}")).json()
        assert ([row["value"] for row in shown["addresses"]], shown["opted_out"]) == ([PHONE, MAIL], True)
        assert shown["consents"][0]["source"] == "form"
        page = (await http.get(f"/contacts/{ada.id}/timeline", params={"limit": 2})).json()
        assert [entry["message"] for entry in page["entries"]] == [names["shop"], names["proactive"]]
        rest = await http.get(f"/contacts/{ada.id}/timeline", params={"cursor": page["cursor"], "limit": 1})
        assert rest.json()["entries"][0]["message"] == names["planned"]
        why = (await http.get(f"/contacts/{ada.id}/why", params={"event": "1"})).json()
        assert [one["message"] for one in why["messages"]] == [names["sent"]]
        edited = await http.patch(f"/contacts/{ada.id}", json={"name": "Ada King", "first_name": None})
        assert (edited.status_code, edited.json()["name"]) == (200, "Ada King")
        added = await http.post(f"/contacts/{ada.id}/addresses", json={"address": "ada@king.example"})
        assert (added.status_code, added.json()["kind"]) == (201, "email")
        gone = await http.delete(f"/contacts/{ada.id}/addresses/{added.json()['id']}")
        assert gone.status_code == 204
        for refused, field in (
            (await http.patch(f"/contacts/{ada.id}", json={"phone": "12"}), "phone"),
            (await http.patch(f"/contacts/{ada.id}", json={"nmae": "x"}), "nmae"),
            (await http.get("/contacts/search", params={"query": "..."}), "query"),
        ):
            assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, field)
        assert (await http.get("/contacts/99")).status_code == 404
