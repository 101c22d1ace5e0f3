"""A person erased everywhere, with a certificate; and everything that is kept about a person, handed out."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable

import pytest
from sqlalchemy import inspect, text

from messages.contacts.test_timeline import MAIL, PHONE, live_through_everything, person
from messages.due_messages import DAY, EVENT_MESSAGE, NOON, Provider, follow_up_to, message_to, outcome_of
from support.app import client_of
from tidings.app import App
from tidings.clock import ManualClock
from tidings.errors import NotFound
from tidings.features.events.models import EventMessage
from tidings.features.followups.models import FollowUp
from tidings.messages.contacts.privacy import erasure
from tidings.messages.inbound.reply import IncomingReply

OpenApp = Callable[..., Awaitable[App]]
MARKS = ("abara", PHONE, MAIL, "2125550123", "open today", "thanks, great", "call ada back", "win three clients")

pytestmark = pytest.mark.both_databases


@pytest.fixture
async def app(open_app: OpenApp, database_url: str, left_sound: None) -> App:
    return await open_app(clock=ManualClock(NOON), database_url=database_url, providers={"sms": Provider()})


async def everywhere(app: App, *but: str) -> dict[str, str]:
    """The rows of every table in which something of Ada stands."""
    found = {}
    async with app.work.read() as session:
        connection = await session.connection()
        for name in await connection.run_sync(lambda sync: inspect(sync).get_table_names()):
            if name in but:
                continue
            for number, row in enumerate((await session.execute(text(f'SELECT * FROM "{name}"'))).all()):
                shown = json.dumps([str(value) for value in row], ensure_ascii=False).lower()
                if any(mark in shown for mark in MARKS):
                    found[f"{name}.{number}"] = shown
    return found


async def known_well(app: App) -> int:
    """Ada, whom every feature knows, and who was registered, has goals, and something to do."""
    ada, _ = await live_through_everything(app)
    event = await app.events.create_event({"name": "Expo", "date": "2027-05-04", "timezone": "UTC"})
    await app.events.register(event.id, {"contractor_id": ada.id})
    await app.followups.action_items.create({"contractor_id": ada.id, "title": "Call Ada back"})
    await app.proactive.goals.create(ada.id, {"title": "Win three clients"})
    message = await message_to(app, ada.id, message_content="Hi Ada Abara", phone=PHONE)
    await app.events.cancel_event_message(message.id)
    return ada.id


async def test_after_an_erasure_nothing_of_the_person_is_left_but_the_address_that_said_stop(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(erasure, "PORTION", 1)
    ada = await known_well(app)
    assert len({place.partition(".")[0] for place in await everywhere(app)}) > 8
    certificate = await app.contacts.erase(ada, by="Bo", shops=True)
    assert await everywhere(app, "opt_outs") == {}
    async with app.work.read() as session:
        rows = (await session.execute(text("SELECT address, contact_id, words FROM opt_outs"))).all()
    assert [tuple(row) for row in rows] == [(PHONE, None, None)]
    assert (certificate.contact_id, certificate.erased_by, len(certificate.digest)) == (ada, "Bo", 64)
    assert certificate.counts["replies"] == 2
    assert certificate.counts["contractor_goals"] == certificate.counts["contractor_action_items"] == 1
    kept = await app.contacts.get_erasure(certificate.id)
    assert (kept.digest, kept.counts) == (certificate.digest, certificate.counts)
    for asked in (app.contacts.get_standing(ada), app.contacts.erase(ada), app.contacts.timeline(ada)):
        with pytest.raises(NotFound):
            await asked
    assert (await app.contacts.list_contacts()).contacts == []
    assert (await app.contacts.find(PHONE)).hits == []


async def test_what_waits_is_called_off_and_figures_still_add_up(app: App) -> None:
    ada = await known_well(app)
    await follow_up_to(app, ada, scheduled_time=NOON + DAY, is_recurring=True, recurrence_interval_days=7)
    async with app.work.read() as session:
        before = (await session.execute(text("SELECT count(*) FROM event_messages"))).scalar_one()
    await app.contacts.erase(ada, shops=True)
    await app.recovery.check()
    async with app.work.read() as session:
        after = (await session.execute(text("SELECT count(*) FROM event_messages"))).scalar_one()
        for model in (EventMessage, FollowUp):
            waiting = text(f"SELECT count(*) FROM {model.__tablename__} WHERE status IN ('scheduled', 'waiting')")
            assert (await session.execute(waiting)).scalar_one() == 0
    assert before == after


async def test_whoever_said_stop_and_was_erased_still_gets_nothing(app: App) -> None:
    ada = await known_well(app)
    await app.contacts.erase(ada)
    again = await person(app, phone=PHONE)
    message = await message_to(app, again.id)
    assert "opted out" in await outcome_of(app, EVENT_MESSAGE, message.id)


async def test_silence_for_a_whole_person_holds_for_each_of_their_addresses(
    open_app: OpenApp, database_url: str
) -> None:
    app = await open_app(
        clock=ManualClock(NOON), database_url=database_url, providers={"sms": Provider()}, opt_outs="installation"
    )
    ada = await person(app, phone=PHONE, email=MAIL)
    await app.inbound.receive_reply(IncomingReply("n8n", "SM1", PHONE, "STOP"))
    await app.contacts.erase(ada.id)
    async with app.work.read() as session:
        rows = (await session.execute(text("SELECT address FROM opt_outs WHERE ended_at IS NULL"))).all()
    assert {row.address for row in rows} == {PHONE, MAIL}


async def test_a_relative_with_the_same_phone_keeps_what_is_theirs(app: App) -> None:
    ada = await person(app, phone=PHONE)
    ben = await person(app, "Ben Abara", phone=PHONE)
    message = await message_to(app, ben.id)
    assert "sent" in await outcome_of(app, EVENT_MESSAGE, message.id)
    await app.inbound.receive_reply(IncomingReply("n8n", "SM1", PHONE, "Hello from Ben"))
    await app.contacts.erase(ada.id)
    standing = await app.contacts.get_standing(ben.id)
    assert [reply.text for reply in standing.replies] == ["Hello from Ben"]
    assert [row.value for row in standing.addresses] == [PHONE]


async def test_what_shops_know_is_theirs_unless_it_is_asked_for(app: App) -> None:
    ada = await known_well(app)
    certificate = await app.contacts.erase(ada)
    assert "shop_messages" not in certificate.counts
    places = {place.partition(".")[0] for place in await everywhere(app, "opt_outs")}
    assert places == {"shop_messages"}


async def test_a_merged_person_is_erased_with_every_entry(app: App) -> None:
    ada = await known_well(app)
    other = await person(app, "A. Abara", phone="+12125550177")
    await app.contacts.merge(other.id, ada)
    certificate = await app.contacts.erase(ada, shops=True)
    assert certificate.contact_id == other.id
    assert certificate.counts["contractors"] == 2
    assert await everywhere(app, "opt_outs") == {}


async def test_everything_that_is_kept_is_handed_out(app: App) -> None:
    ada = await known_well(app)
    export = await app.contacts.export(ada)
    assert json.loads(json.dumps(export)) == export
    assert export["person"]["name"] == "Ada Abara"
    assert set(export["rows"]) >= {
        "contact_addresses", "event_messages", "event_registrations", "contractor_followup_schedules",
        "ai_proactive_messages", "shop_messages", "deliveries", "replies", "consents", "opt_outs", "notices",
        "contractor_goals", "contractor_action_items", "chat-message: what they wrote",
    }  # fmt: skip
    assert [row["title"] for row in export["rows"]["contractor_goals"]] == ["Win three clients"]
    shown = json.dumps(export).lower()
    assert all(mark in shown for mark in MARKS)


async def test_over_http(app: App) -> None:
    ada = await known_well(app)
    async with client_of(app) as http:
        assert (await http.get(f"/contacts/{ada}/export")).json()["person"]["phone"] == PHONE
        done = await http.post(f"/contacts/{ada}/erase", json={"by": "Bo", "shops": True})
        assert (done.status_code, done.json()["erased_by"]) == (201, "Bo")
        kept = await http.get(f"/contact-erasures/{done.json()['id']}")
        assert kept.json() == done.json()
        assert (await http.get(f"/contacts/{ada}")).status_code == 404
