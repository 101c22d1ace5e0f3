"""From a contact's state to a written message: once, within the limits, with its reasons."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import event

from proactive.desk import DAY, HELLO, NOW, Desk, Scribe, trigger
from support.app import run_job
from tidings.feature import Activity
from tidings.features.events.jobs import ORCHESTRATE, Orchestrate
from tidings.features.proactive import contact_states as loading
from tidings.features.proactive.discovery import Trigger
from tidings.features.proactive.evaluation import WRITERS_AT_ONCE
from tidings.features.proactive.models import Approval
from tidings.features.proactive.safeguards import STALE_AFTER, Safeguards
from tidings.features.proactive.states import ContactState, Suggestion
from tidings.messages.gate.opt_outs import OptOutRequest, add_opt_out
from tidings.messages.statuses import Reason, Status


async def test_a_stalled_goal_becomes_a_waiting_message_that_says_why(desk: Desk) -> None:
    contact = await desk.contact()
    goal = await desk.goal(contact, idle_days=9, checklist=["Call Ben", "Send offer"])
    result = await desk.app.proactive.evaluate_proactive_triggers()
    assert (result.contacts, result.candidates, result.created) == (1, 1, 1)
    [row] = await desk.messages()
    assert (row.contractor_id, row.message_type, row.goal_id) == (contact, "check_in", goal.id)
    assert row.ai_reasoning == f"Goal #{goal.id} has 2 pending checklist items and no progress for 9 days"
    assert row.message_content.startswith('Hi Ada, how is "Win three clients" going?')
    assert row.context_data["facts"] == {"goal": "Win three clients", "open_steps": 2, "next_step": "Call Ben"}
    assert (row.context_data["author"], row.context_data["usage"]) == ("template", None)
    assert "OPENAI_API_KEY" in row.context_data["fallback"]
    assert (row.status, row.status_reason, row.sent_at) == (Status.WAITING, Reason.TRIGGERED, None)
    assert (row.approval, row.scheduled_time, row.useful_until) == (Approval.NOT_NEEDED, NOW, NOW + STALE_AFTER)
    assert await desk.due_in(row.id) is None


@pytest.mark.both_databases
async def test_a_suggestion_becomes_one_message_however_often_triggers_are_evaluated(desk: Desk) -> None:
    await desk.contact()
    scribe = Scribe()
    proactive = desk.proactive(writer=scribe)
    for _ in range(3):
        await proactive.evaluate_proactive_triggers()
        desk.clock.move(30 * DAY)
    assert len(await desk.messages()) == len(scribe.briefs) == 1


@pytest.mark.both_databases
async def test_two_evaluations_at_once_make_one_message(desk: Desk) -> None:
    contacts = [await desk.contact() for _ in range(3)]
    both = asyncio.Barrier(2 * len(contacts))  # every text is asked for twice before any is stored
    results = await asyncio.gather(
        *(desk.proactive(writer=Scribe(both.wait)).evaluate_proactive_triggers() for _ in range(2))
    )
    assert sorted(row.contractor_id for row in await desk.messages()) == contacts
    assert sum(result.created for result in results) == sum(result.duplicates for result in results) == len(contacts)


@pytest.mark.both_databases
async def test_two_evaluations_at_once_with_different_reasons_still_write_to_a_contact_once(desk: Desk) -> None:
    await desk.contact()
    both = asyncio.Barrier(2)
    other = trigger(Suggestion("other", "Another reason", "Hi"), message_type="other")
    results = await asyncio.gather(
        *(desk.proactive(one, writer=Scribe(both.wait)).evaluate_proactive_triggers() for one in (HELLO, other))
    )
    assert len(await desk.messages()) == 1
    assert sorted(result.created for result in results) == [0, 1]


async def test_of_several_reasons_the_most_urgent_is_written_and_the_others_come_after_the_pause(desk: Desk) -> None:
    await desk.contact()
    proactive = desk.proactive(
        trigger(Suggestion("a", "Can wait", "Hi", urgency=9), Suggestion("b", "First", "Hi", urgency=1)),
        trigger(Suggestion("a", "Second", "Hi", urgency=2), message_type="another"),
    )
    for days in (0, 2.9, 0.2, 2.9, 0.2):
        desk.clock.move(days * DAY)
        await proactive.evaluate_proactive_triggers()
        for row in await desk.messages():
            if row.status == Status.WAITING:
                await proactive.cancel(row.id)
    assert [row.ai_reasoning for row in await desk.messages()] == ["First", "Second", "Can wait"]
    assert [(row.created_at - NOW) / DAY for row in await desk.messages()] == pytest.approx([0, 3.1, 6.2])


async def test_the_pause_counts_from_when_a_message_was_sent(desk: Desk) -> None:
    await desk.contact()
    first = await desk.made(desk.proactive())
    desk.clock.move(2 * DAY)
    await desk.app.proactive.deliver_waiting()
    await desk.deliver(first.id)
    other = desk.proactive(trigger(Suggestion("x", "Again", "Hi"), message_type="other"))
    desk.clock.move(2 * DAY)
    assert (await other.evaluate_proactive_triggers()).created == 0
    desk.clock.move(1 * DAY)
    assert (await other.evaluate_proactive_triggers()).created == 1


async def test_whoever_has_a_message_under_way_is_not_written_to_however_old_it_is(desk: Desk) -> None:
    await desk.contact()
    row = await desk.made(desk.proactive(trigger(Suggestion("x", "why", "Hi", useful_until=NOW + 30 * DAY))))
    desk.clock.move(5 * DAY)
    assert (await desk.proactive().evaluate_proactive_triggers()).contacts == 0
    await desk.app.proactive.deliver_waiting()
    assert (await desk.proactive().evaluate_proactive_triggers()).contacts == 0
    await desk.app.proactive.cancel(row.id)
    assert (await desk.proactive().evaluate_proactive_triggers()).created == 1


async def test_an_evaluation_makes_no_more_messages_than_it_may_and_the_next_makes_the_rest(desk: Desk) -> None:
    contacts = [await desk.contact() for _ in range(5)]
    proactive = desk.proactive(safeguards=Safeguards(per_evaluation=2))
    made = [(await proactive.evaluate_proactive_triggers()).created for _ in range(4)]
    assert made == [2, 2, 1, 0]
    rows = [row.contractor_id for row in await desk.messages()]
    assert [sorted(rows[start : start + 2]) for start in (0, 2, 4)] == [contacts[:2], contacts[2:4], contacts[4:]]


@pytest.mark.both_databases
async def test_every_contact_is_looked_at_however_many_pages_they_fill(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loading, "PAGE", 2)
    contacts = [await desk.contact() for _ in range(5)]
    for contact in contacts[:3]:
        await desk.goal(contact, idle_days=9, checklist=["Call Ben"])
    assert (await desk.app.proactive.evaluate_proactive_triggers()).created == 3
    result = await desk.proactive().evaluate_proactive_triggers()
    assert (result.contacts, result.created) == (2, 2)
    assert sorted(row.contractor_id for row in await desk.messages()) == contacts


@pytest.mark.both_databases
async def test_an_evaluation_that_dies_while_texts_are_written_is_made_up_for_by_the_next(desk: Desk) -> None:
    await desk.contact()
    scribe = Scribe(asyncio.Event().wait)
    dying = asyncio.ensure_future(desk.proactive(writer=scribe).evaluate_proactive_triggers())
    while not scribe.briefs:
        await asyncio.sleep(0.005)
    dying.cancel()
    with pytest.raises(asyncio.CancelledError):
        await dying
    assert not await desk.messages()
    assert (await desk.proactive().evaluate_proactive_triggers()).created == 1


async def test_texts_are_written_a_bounded_number_at_a_time(desk: Desk) -> None:
    for _ in range(12):
        await desk.contact()
    scribe = Scribe(lambda: asyncio.sleep(0.01))
    await desk.proactive(writer=scribe).evaluate_proactive_triggers()
    assert (len(scribe.briefs), scribe.most_at_once) == (12, WRITERS_AT_ONCE)


@pytest.mark.both_databases
async def test_no_transaction_is_open_while_a_text_is_written(desk: Desk) -> None:
    await desk.contact()
    database = desk.app.database

    async def look() -> None:
        pools: list[Any] = [engine.pool for engine in {database.writer, database.reader, database.road}]
        assert sum(pool.checkedout() for pool in pools) == 0

    assert (await desk.proactive(writer=Scribe(look)).evaluate_proactive_triggers()).created == 1


async def test_nothing_is_written_for_whoever_has_no_address_or_said_stop(desk: Desk) -> None:
    await desk.contact(phone=None)
    gone = await desk.contact(phone="+18105557777")
    async with desk.app.work.begin() as unit:
        await add_opt_out(
            unit.session, OptOutRequest("+18105557777", "api", "test", words="STOP", contact_id=gone), NOW
        )
    scribe = Scribe()
    assert (await desk.proactive(writer=scribe).evaluate_proactive_triggers()).contacts == 0
    assert not scribe.briefs


async def test_a_contact_with_only_a_mail_address_gets_a_mail_without_the_limit_of_an_sms(desk: Desk) -> None:
    await desk.contact(phone=None, email="ada@example.com")
    scribe = Scribe()
    row = await desk.made(desk.proactive(writer=scribe))
    assert (row.channel, row.subject) == ("email", "Checking in")
    assert scribe.briefs[0].too_long("x" * 1000) is None


async def test_a_writer_gets_the_template_the_facts_and_the_limit_of_three_sms(desk: Desk) -> None:
    await desk.contact(name="Ada Abara", company_name="Acme")
    scribe = Scribe()
    hello = trigger(Suggestion("x", "why", "Hi {{ first_name }} of {{ company_name }}: {{ n }}", {"n": 3}))
    await desk.proactive(hello, writer=scribe).evaluate_proactive_triggers()
    [brief] = scribe.briefs
    assert (brief.task, brief.template) == ("proactive", "Hi Ada of Acme: 3")
    assert brief.facts == {"n": 3, "first_name": "Ada", "name": "Ada Abara", "company_name": "Acme"}
    assert brief.too_long("x" * 459) is None
    assert brief.too_long("x" * 460)


async def test_a_trigger_or_a_text_that_fails_keeps_no_other_contact_from_its_message(desk: Desk) -> None:
    ada, ben, cy = await desk.contact(), await desk.contact(name="Ben"), await desk.contact(name="Cy")

    def stumble(state: ContactState, now: datetime) -> Iterator[Suggestion]:
        if state.contractor_id == ada:
            raise RuntimeError("no")
        yield Suggestion("x", "why", "Hi {{ misspelt }}" if state.contractor_id == ben else "Hi")

    result = await desk.proactive(Trigger("shaky", "Sometimes.", stumble)).evaluate_proactive_triggers()
    assert (result.created, result.failed) == (1, 1)
    assert [row.contractor_id for row in await desk.messages()] == [cy]


async def test_what_other_features_tell_reaches_the_triggers(desk: Desk) -> None:
    ada, ben = await desk.contact(), await desk.contact(name="Ben")
    seen: dict[int, tuple[Activity, ...]] = {}

    async def tell(session: Any, contractor_ids: Any) -> list[Activity]:
        return [Activity(ada, "event_ended", NOW, {"event_name": "Expo"})] if ada in contractor_ids else []

    def note(state: ContactState, now: datetime) -> Iterator[Suggestion]:
        seen[state.contractor_id] = state.activities
        return iter(())

    await desk.proactive(Trigger("note", "Never.", note), activities=[tell]).evaluate_proactive_triggers()
    assert {contact: len(activities) for contact, activities in seen.items()} == {ada: 1, ben: 0}


async def test_a_guest_of_an_event_that_is_over_is_asked_about_it(desk: Desk) -> None:
    guest, _somebody_else = await desk.contact(), await desk.contact(name="Ben")
    event = await desk.app.events.create_event({"name": "Expo", "date": f"{NOW + DAY:%Y-%m-%d}", "timezone": "UTC"})
    await desk.app.events.register(event.id, {"contractor_id": guest})
    desk.clock.move(4 * DAY)
    await run_job(desk.app, ORCHESTRATE, Orchestrate())
    await desk.app.proactive.evaluate_proactive_triggers()
    [row] = await desk.messages()
    assert (row.contractor_id, row.message_type) == (guest, "silence_after_event")
    assert row.ai_reasoning.startswith("Expo ended")


async def test_a_state_tells_when_a_contact_was_last_written_to_by_any_feature(desk: Desk) -> None:
    ada = await desk.contact(first_name=None, name="Ada Abara", timezone=None)
    await desk.sent()
    desk.clock.move(4 * DAY)
    seen: list[ContactState] = []

    def note(state: ContactState, now: datetime) -> Iterator[Suggestion]:
        seen.append(state)
        return iter(())

    await desk.proactive(Trigger("note", "Never.", note)).evaluate_proactive_triggers()
    [state] = seen
    assert (state.contractor_id, state.first_name, state.trust) == (ada, "Ada", 50.0)
    assert state.timezone == "America/New_York"  # nobody has entered it, but their number is there
    assert (state.last_sent, state.last_reply) == (NOW, None)


@pytest.mark.both_databases
async def test_many_contacts_cost_as_few_statements_as_one(desk: Desk) -> None:
    statements: list[str] = []
    event.listen(
        desk.app.database.reader.sync_engine,
        "before_cursor_execute",
        lambda connection, cursor, statement, *_: statements.append(statement),
    )
    counts = []
    for contacts in (1, 40):
        for _ in range(contacts):
            await desk.goal(await desk.contact(), idle_days=1, checklist=["A"])
        statements.clear()
        assert (await desk.app.proactive.evaluate_proactive_triggers()).created == 0
        counts.append(len(statements))
    assert counts[0] == counts[1] < 20


async def test_a_suggestion_whose_time_is_over_is_not_written(desk: Desk) -> None:
    await desk.contact()
    over = trigger(Suggestion("x", "why", "Hi", useful_until=NOW))
    soon = trigger(Suggestion("y", "why", "Hi", useful_until=NOW + timedelta(hours=1)))
    assert (await desk.proactive(over).evaluate_proactive_triggers()).candidates == 0
    assert (await desk.made(desk.proactive(soon))).useful_until == NOW + timedelta(hours=1)
