"""Two entries of one person made one, and two again."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import inspect, text

from messages.due_messages import DAY, EVENT_MESSAGE, NOON, Provider, follow_up_to, message_to, outcome_of
from support.app import client_of
from tidings.app import App
from tidings.clock import ManualClock
from tidings.errors import Conflict, InvalidInput, NotFound
from tidings.features.followups.models import FollowUp
from tidings.messages.contacts.addresses import contacts_with
from tidings.messages.contacts.contractors import Contractor
from tidings.messages.contacts.merging import merging
from tidings.messages.gate.standing import Admission
from tidings.messages.gate.trust import Trust
from tidings.messages.inbound.reply import IncomingReply

OpenApp = Callable[..., Awaitable[App]]
PHONE, SECOND, MAIL = "+12125550123", "+12125550177", "ada@example.com"

pytestmark = pytest.mark.both_databases


@pytest.fixture
async def app(open_app: OpenApp, database_url: str, left_sound: None) -> App:
    return await open_app(clock=ManualClock(NOON), database_url=database_url, providers={"sms": Provider()})


async def two_entries(app: App) -> tuple[int, int, dict[str, int]]:
    """Ada stands there twice: registered for the same event, with messages, a reply, consents and an opt-out."""
    kept, _ = await app.events.create_contractor(
        {"name": "Ada Abara", "phone": PHONE, "timezone": "America/New_York"}
    )
    merged, _ = await app.events.create_contractor(
        {"name": "Ada Abara", "phone": SECOND, "email": MAIL, "timezone": "America/New_York"}
    )
    sent = await message_to(app, merged.id)
    assert "sent" in await outcome_of(app, EVENT_MESSAGE, sent.id)
    await app.inbound.receive_reply(IncomingReply("n8n", "SM1", SECOND, "Thanks, great!"))
    event = await app.events.create_event({"name": "Expo", "slug": "expo", "date": "2027-05-04", "timezone": "UTC"})
    other = await app.events.create_event({"name": "Fair", "slug": "fair", "date": "2027-06-04", "timezone": "UTC"})
    for contact_id in (kept.id, merged.id):
        await app.events.register(event.id, {"contractor_id": contact_id})
        await app.consents.record(contact_id, granted=True)
    await app.events.register(other.id, {"contractor_id": merged.id})
    when = NOON + DAY
    await follow_up_to(app, kept.id, scheduled_time=when)
    twice = await follow_up_to(app, merged.id, scheduled_time=when, recurrence_interval_days=7, is_recurring=True)
    alone = await follow_up_to(app, merged.id, scheduled_time=when, followup_type="other")
    async with app.work.begin() as unit:
        unit.session.add(Admission(kind="follow-up", message_id=alone.id, contact_id=merged.id, at=NOON))
    await app.contacts.opt_out(MAIL)
    return kept.id, merged.id, {"twice": twice.id, "alone": alone.id, "sent": sent.id, "event": event.id}


async def everything(app: App) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every table, but for what only says when, and what merges write about themselves."""
    async with app.work.read() as session:
        connection = await session.connection()
        names = await connection.run_sync(lambda sync: inspect(sync).get_table_names())
        found = {}
        for name in names:
            if name in ("alembic_version", "contact_merges", "contact_words", "deliveries"):
                continue
            rows = (await session.execute(text(f'SELECT * FROM "{name}"'))).mappings().all()
            left_out = ("updated_at", "agenda_version", "planned_version")
            found[name] = sorted(
                tuple((key, str(value)) for key, value in row.items() if key not in left_out) for row in rows
            )
        words = await session.execute(text("SELECT contact_id, word FROM contact_words"))
        found["contact_words"] = sorted(tuple(row) for row in words)
        lines = await session.execute(text("SELECT id, contact_id FROM deliveries WHERE outcome = 'sent'"))
        found["deliveries"] = sorted(tuple(row) for row in lines)
        return found


async def row_of(app: App, follow_up_id: int) -> FollowUp:
    async with app.work.read() as session:
        return await session.get_one(FollowUp, follow_up_id)


async def test_after_a_merge_everything_is_one_persons(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(merging, "PORTION", 2)
    kept, merged, names = await two_entries(app)
    merge = await app.contacts.merge(kept, merged, by="Bo")
    assert (merge.kept_id, merge.merged_id, merge.merged_by) == (kept, merged, "Bo")
    assert merge.finished_at is not None
    standing = await app.contacts.get_standing(kept)
    assert [row.value for row in standing.addresses] == [PHONE, SECOND, MAIL]
    assert (standing.contractor.phone, standing.contractor.email) == (PHONE, MAIL)
    assert [reply.text for reply in standing.replies] == ["Thanks, great!"]
    assert len(standing.consents) == 2
    assert standing.opted_out
    async with app.work.read() as session:
        assert await contacts_with(session, SECOND) == [kept]
    assert [hit.contact.id for hit in (await app.contacts.find("ada")).hits] == [kept]
    assert [one.id for one in (await app.contacts.list_contacts()).contacts] == [kept]
    entries = (await app.contacts.timeline(merged, limit=500)).entries
    assert f"event-message-{names['sent']}" in {entry.message for entry in entries if entry.what == "sent"}
    [answer] = await app.contacts.list_merges(kept)
    assert answer.id == merge.id


async def test_what_would_be_said_twice_is_called_off_with_its_reason(app: App) -> None:
    kept, merged, names = await two_entries(app)
    await app.contacts.merge(kept, merged)
    twice, alone = await row_of(app, names["twice"]), await row_of(app, names["alone"])
    assert (twice.status, twice.status_reason, twice.is_recurring) == ("cancelled", "merged", False)
    assert (alone.status, alone.contractor_id) == ("scheduled", kept)
    assert "the other one gets the same" in (await app.why.explain(f"follow-up-{twice.id}")).summary
    rows = await app.events.list_messages(event_id=names["event"])
    planned = [(row["contractor_id"], row["message_type"]) for row in rows if row["status"] == "scheduled"]
    assert {contact for contact, _ in planned} == {kept}
    assert len(planned) == len(set(planned)) > 0
    await app.events.schedule_all_event_messages(names["event"])
    again = await app.events.list_messages(event_id=names["event"])
    live = [row for row in again if row["status"] == "scheduled" and row["contractor_id"] == merged]
    assert live == [], "the plan brings none of them back"


async def test_undoing_a_merge_restores_exactly_what_was(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(merging, "PORTION", 3)
    kept, merged, names = await two_entries(app)
    before = await everything(app)
    merge = await app.contacts.merge(kept, merged)
    assert await everything(app) != before
    app.clock.move(timedelta(hours=1))
    undone = await app.contacts.undo_merge(merge.id)
    assert undone.undone_at is not None
    assert await everything(app) == before
    [job] = await app.queues.find("contractor-followups", [f"follow-up-{names['twice']}"])
    assert job is not None, "what was called off wakes again"
    with pytest.raises(Conflict, match="was undone already"):
        await app.contacts.undo_merge(merge.id)
    second = await app.contacts.merge(merged, kept)
    assert (second.kept_id, second.merged_id) == (merged, kept)


async def test_what_comes_after_a_merge_stays_with_the_kept_entry(app: App) -> None:
    kept, merged, _ = await two_entries(app)
    merge = await app.contacts.merge(kept, merged)
    app.clock.move(timedelta(hours=1))
    reply = await app.inbound.receive_reply(IncomingReply("n8n", "SM2", SECOND, "Hello again"))
    assert reply.contact_id == kept
    await app.contacts.edit(kept, {"email": "new@example.com"})
    await app.contacts.undo_merge(merge.id)
    contact = (await app.contacts.get_standing(kept)).contractor
    assert contact.email == "new@example.com"
    assert (await app.contacts.get_standing(merged)).contractor.email == MAIL


async def test_a_merge_that_broke_off_is_gone_on_with(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    kept, merged, _ = await two_entries(app)
    whole = merging._move_standing

    async def fail(*_: Any) -> None:
        raise RuntimeError("the process was killed")

    monkeypatch.setattr(merging, "_move_standing", fail)
    with pytest.raises(RuntimeError):
        await app.contacts.merge(kept, merged)
    [merge] = await app.contacts.list_merges(kept)
    with pytest.raises(Conflict, match="not finished"):
        await app.contacts.undo_merge(merge.id)
    monkeypatch.setattr(merging, "_move_standing", whole)
    done = await app.contacts.merge(kept, merged)
    assert (done.id, done.finished_at) == (merge.id, app.clock.now())


async def test_the_lower_trust_counts_and_comes_back(app: App) -> None:
    kept, merged, _ = await two_entries(app)
    async with app.work.begin() as unit:
        for one, score in ((kept, 80.0), (merged, 20.0)):
            row = await unit.session.get(Trust, one) or Trust(contact_id=one)
            row.score, row.reason, row.updated_at = score, "test", NOON
            unit.session.add(row)
    merge = await app.contacts.merge(kept, merged)
    assert (await app.contacts.get_standing(kept)).trust == 20
    await app.contacts.undo_merge(merge.id)
    assert (await app.contacts.get_standing(kept)).trust == 80


async def test_what_cannot_be_merged_or_undone_says_why(app: App) -> None:
    kept, merged, _ = await two_entries(app)
    with pytest.raises(InvalidInput, match="the same person"):
        await app.contacts.merge(kept, kept)
    with pytest.raises(NotFound):
        await app.contacts.merge(kept, 99)
    merge = await app.contacts.merge(kept, merged)
    with pytest.raises(Conflict, match=f"was merged into contractor {kept}; use that one"):
        await app.contacts.merge(kept, merged)
    with pytest.raises(Conflict, match="use that one"):
        await app.contacts.edit(merged, {"name": "Ada"})
    with pytest.raises(Conflict, match="use that one"):
        await follow_up_to(app, merged)
    app.clock.move(timedelta(days=7, seconds=1))
    with pytest.raises(Conflict, match="older than 7 days"):
        await app.contacts.undo_merge(merge.id)
    with pytest.raises(NotFound):
        await app.contacts.undo_merge(99)


async def test_merges_over_http(app: App) -> None:
    kept, merged, _ = await two_entries(app)
    async with client_of(app) as http:
        made = await http.post(f"/contacts/{kept}/merge", json={"other_id": merged})
        assert (made.status_code, made.json()["merged_id"]) == (201, merged)
        assert [one["id"] for one in (await http.get(f"/contacts/{kept}/merges")).json()] == [made.json()["id"]]
        assert (await http.get(f"/contacts/{merged}")).json()["id"] == kept
        undone = await http.post(f"/contact-merges/{made.json()['id']}/undo")
        assert (undone.status_code, undone.json()["undone_at"] is not None) == (200, True)
        assert (await http.get(f"/contacts/{merged}")).json()["id"] == merged


def test_a_contact_refers_to_whom_it_was_merged_into() -> None:
    assert {key.column.table.name for key in Contractor.__table__.foreign_keys} == {"contractors"}
