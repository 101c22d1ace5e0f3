"""Scheduling a follow-up: the row, its job, where its times are read, and every mistake named before it is stored."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from followups.conftest import HELLO, NOW, Office, seconds
from tidings.errors import Conflict, InvalidInput, NotFound, TemplateError
from tidings.features.followups.models import FollowUp
from tidings.messages.statuses import Reason, Status


def test_follow_ups_have_the_21_columns_of_the_specification() -> None:
    columns = {column.key for column in FollowUp.__table__.columns}
    named = {
        *("id", "contractor_id", "action_item_id", "event_id", "scheduled_time", "followup_type"),
        *("message_template", "message_tone", "status", "sent_at", "sent_by", "response_received_at"),
        *("response_text", "ai_should_personalize", "ai_context_hints", "skip_if_completed", "is_recurring"),
        *("recurrence_interval_days", "next_occurrence_id", "created_at", "updated_at"),
    }
    assert len(named) == 21
    assert named <= columns
    assert FollowUp.__tablename__ == "contractor_followup_schedules"


async def test_scheduling_writes_the_row_and_its_job(office: Office) -> None:
    item = await office.add_item()
    row = await office.schedule(
        scheduled_time=NOW + timedelta(hours=2),
        action_item_id=item,
        message_tone="warm",
        ai_should_personalize=True,
        ai_context_hints={"last_call": "friendly"},
    )
    stored = await office.get(row)
    assert (stored.status, stored.status_reason) == (Status.SCHEDULED, Reason.BY_REQUEST)
    assert (stored.scheduled_time, stored.action_item_id) == (NOW + timedelta(hours=2), item)
    assert (stored.message_template, stored.message_tone) == (HELLO, "warm")
    assert stored.ai_context_hints == {"last_call": "friendly"}
    assert (stored.ai_should_personalize, stored.skip_if_completed, stored.is_recurring) == (True, True, False)
    assert (stored.sent_at, stored.sent_by, stored.next_occurrence_id, stored.series_id) == (None,) * 4
    assert await office.due_in(row) == seconds(7200)


async def test_a_naive_time_is_the_contractors_local_time_or_the_default_zones(local_office: Office) -> None:
    there = await local_office.schedule(scheduled_time="2025-10-20T09:00:00", not_after="2025-10-20T18:00:00")
    assert there.scheduled_time == datetime(2025, 10, 20, 13, tzinfo=UTC)
    assert there.not_after == datetime(2025, 10, 20, 22, tzinfo=UTC)
    nowhere = await local_office.add_person(phone="+15555550124")  # an area code that is nowhere
    assert (
        await local_office.schedule(contractor_id=nowhere, scheduled_time="2025-10-20T09:00:00")
    ).scheduled_time == (datetime(2025, 10, 20, 9, tzinfo=UTC))


async def test_the_first_of_a_series_remembers_the_wall_clock_that_was_meant(office: Office) -> None:
    recurring = {"is_recurring": True, "recurrence_interval_days": 7}
    naive = await office.schedule(scheduled_time="2026-03-08T02:30:00", **recurring)  # skipped by DST
    assert naive.scheduled_time == datetime(2026, 3, 8, 7, 30, tzinfo=UTC)
    assert naive.first_local_time == datetime(2026, 3, 8, 2, 30)  # noqa: DTZ001
    aware = await office.schedule(scheduled_time="2025-10-20T15:00:00+02:00", **recurring)
    assert aware.first_local_time == datetime(2025, 10, 20, 9)  # noqa: DTZ001
    assert (aware.series_id, aware.occurrence) == (aware.id, 1)


async def test_an_event_can_be_named_and_must_exist(office: Office) -> None:
    event = await office.app.events.create_event({"name": "Expo", "date": "2025-10-18"})
    row = await office.schedule(event_id=event.id, message_template="About event {{ event_id }}")
    assert row.event_id == event.id
    with pytest.raises(NotFound, match="there is no event 999"):
        await office.schedule(event_id=999)


UNUSABLE: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"contractor_id": 999}, NotFound, "there is no contractor 999"),
    ({"action_item_id": 999}, NotFound, "there is no action item 999"),
    ({"experiment": "spring", "message_template": None}, NotFound, "there is no experiment spring"),
    ({"contractor_id": 10**30}, InvalidInput, "contractor_id: "),
    ({"scheduled_time": "soon"}, InvalidInput, "scheduled_time: "),
    ({"scheduled_time": "0001-01-01T00:00:00"}, InvalidInput, "scheduled_time: is too far from today"),
    ({"followup_type": " "}, InvalidInput, "followup_type: "),
    ({"followup_type": "x" * 65}, InvalidInput, "followup_type: "),
    ({"message_template": ""}, InvalidInput, "message_template: "),
    ({"message_template": None}, InvalidInput, "message_template: give either a message_template or an experiment"),
    ({"experiment": "spring"}, InvalidInput, "message_template: give either a message_template or an experiment"),
    ({"message_template": "Hi {{ nickname }}"}, TemplateError, "the template uses 'nickname'"),
    ({"message_template": "{% if nickname %}Hi{% endif %}"}, TemplateError, "the template uses 'nickname'"),
    ({"message_template": "Take {{ hints.offer }}"}, TemplateError, "the template uses 'hints.offer'"),
    ({"message_template": "Hi {{ first_name"}, TemplateError, "the template has a mistake"),
    ({"message_template": "{{ last_name }}"}, TemplateError, "the template gives an empty text"),
    ({"ai_context_hints": {"a": float("nan")}}, InvalidInput, "ai_context_hints: cannot be stored as JSON"),
    ({"ai_context_hints": []}, InvalidInput, "ai_context_hints: "),
    ({"message_tone": "x" * 201}, InvalidInput, "message_tone: "),
    ({"is_recurring": True}, InvalidInput, "recurrence_interval_days: is missing"),
    ({"recurrence_interval_days": 7}, InvalidInput, "is_recurring: is false, but recurrence_interval_days is given"),
    ({"is_recurring": True, "recurrence_interval_days": 0}, InvalidInput, "recurrence_interval_days: "),
    ({"is_recurring": True, "recurrence_interval_days": 3651}, InvalidInput, "recurrence_interval_days: "),
    ({"channel": "pigeon"}, InvalidInput, "channel: "),
    ({"if_blocked": "send"}, InvalidInput, "if_blocked: "),
    ({"not_after": NOW}, InvalidInput, "not_after: is not later than scheduled_time"),
    ({"status": "sent"}, InvalidInput, "status: "),
]


async def test_what_cannot_be_scheduled_is_refused_by_name_and_leaves_nothing(local_office: Office) -> None:
    for values, error, sentence in UNUSABLE:
        with pytest.raises(error, match=f"^{sentence}"):
            await local_office.schedule(**values)
    assert await local_office.all() == []
    assert (await local_office.followups.get_scheduler_stats()).queue["total"] == 0


async def test_the_action_item_of_another_contractor_is_refused(local_office: Office) -> None:
    other = await local_office.add_person(phone="+18105550124")
    item = await local_office.add_item(contractor_id=other)
    with pytest.raises(
        InvalidInput, match=f"action_item_id: action item {item} belongs to another contractor, {other}"
    ):
        await local_office.schedule(action_item_id=item)


async def test_action_items_are_completed_reopened_and_listed(office: Office) -> None:
    first = await office.add_item(description="By mail", due_date="2025-10-31")
    second = await office.add_item(title="Call back")
    other = await office.add_person(phone="+18105550124")
    third = await office.add_item(contractor_id=other)
    done = await office.followups.action_items.complete(first)
    assert done.completed_at == NOW
    assert (await office.followups.action_items.complete(first)).completed_at == NOW

    async def listed(**wanted: Any) -> list[int]:
        return [item.id for item in await office.followups.action_items.list(**wanted)]

    assert await listed() == [first, second, third]
    assert await listed(contractor_id=office.contractor_id) == [first, second]
    assert await listed(completed=True) == [first]
    assert await listed(completed=False) == [second, third]
    assert await listed(after_id=first, limit=1) == [second]
    assert (await office.followups.action_items.reopen(first)).completed_at is None
    assert (await office.followups.action_items.get(first)).description == "By mail"
    with pytest.raises(NotFound, match="there is no action item 999"):
        await office.followups.action_items.complete(999)
    with pytest.raises(NotFound, match="there is no contractor 999"):
        await office.add_item(contractor_id=999)


async def test_a_follow_up_of_an_experiment_has_the_text_of_the_contractors_variant(office: Office) -> None:
    await office.followups.experiments.create(
        {
            "name": "spring",
            "variants": [
                {"key": "plain", "message_template": "Hello {{ first_name }}", "message_tone": "matter-of-fact"},
                {"key": "warm", "message_template": "Dear {{ first_name }}"},
            ],
        }
    )
    rows = [await office.schedule(experiment="spring", message_template=None, message_tone="any") for _ in range(3)]
    assert len({row.variant for row in rows}) == 1
    texts = {"plain": ("Hello {{ first_name }}", "matter-of-fact"), "warm": ("Dear {{ first_name }}", "any")}
    assert (rows[0].message_template, rows[0].message_tone) == texts[rows[0].variant or ""]
    await office.followups.experiments.end("spring")
    with pytest.raises(Conflict, match="experiment spring has ended"):
        await office.schedule(experiment="spring", message_template=None)
