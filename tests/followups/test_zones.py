"""Follow-ups go by the clock of people whose timezone nobody has entered, as far as it can be told."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import update

from followups.conftest import NOW, Office
from support.api import Api
from support.app import client_of
from tidings.clock import ManualClock
from tidings.features.followups.models import FollowUp
from tidings.messages.contacts.contractors import Contractor

WEEKLY: dict[str, Any] = {"is_recurring": True, "recurrence_interval_days": 7}
IN_TWO_ZONES = "+12085550123"  # Idaho


async def after(office: Office, row: FollowUp) -> FollowUp:
    """What comes after an occurrence that goes out at its time."""
    assert isinstance(office.clock, ManualClock)
    office.clock.move(row.scheduled_time - office.clock.now())
    assert await office.deliver(row) == "sent"
    found = await office.next_of(row)
    assert found is not None
    return found


async def test_nine_o_clock_is_nine_where_the_number_is_on_both_sides_of_a_dst_change(local_office: Office) -> None:
    person = await local_office.add_person(phone="+12125550100")
    row = await local_office.schedule(contractor_id=person, scheduled_time="2025-10-20T09:00:00", **WEEKLY)
    times = [row.scheduled_time]
    for _ in range(2):
        row = await after(local_office, row)
        times.append(row.scheduled_time)
    assert times == [
        datetime(2025, 10, 20, 13, tzinfo=UTC),
        datetime(2025, 10, 27, 13, tzinfo=UTC),
        datetime(2025, 11, 3, 14, tzinfo=UTC),  # the clocks were put back
    ]


async def test_a_moment_that_is_given_stays_its_hour_there_over_a_dst_change(local_office: Office) -> None:
    person = await local_office.add_person(phone="+12125550100")
    given = "2025-10-27T14:00:00+01:00"  # 9:00 in New York
    row = await local_office.schedule(contractor_id=person, scheduled_time=given, **WEEKLY)
    assert (await after(local_office, row)).scheduled_time == datetime(2025, 11, 3, 14, tzinfo=UTC)


async def test_a_series_planned_before_its_number_told_a_zone_keeps_its_hour_and_follows_the_clock_from_then_on(
    local_office: Office,
) -> None:
    person = await local_office.add_person(phone=IN_TWO_ZONES)
    row = await local_office.schedule(contractor_id=person, scheduled_time="2025-10-20T13:00:00", **WEEKLY)
    assert row.scheduled_time == datetime(2025, 10, 20, 13, tzinfo=UTC)  # in the default zone, UTC
    async with local_office.app.work.begin() as unit:
        await unit.session.execute(update(Contractor).where(Contractor.id == person).values(phone="+12125550100"))
    times = []
    for _ in range(3):
        row = await after(local_office, row)
        times.append(row.scheduled_time)
    assert times == [
        datetime(2025, 10, 27, 13, tzinfo=UTC),
        datetime(2025, 11, 3, 14, tzinfo=UTC),
        datetime(2025, 11, 10, 14, tzinfo=UTC),
    ]


async def test_somebody_who_may_be_in_two_zones_is_taken_to_be_where_the_event_is(local_office: Office) -> None:
    person = await local_office.add_person(phone=IN_TWO_ZONES)
    expo = {"name": "Expo", "date": "2025-10-18", "timezone": "America/Chicago"}
    event = await local_office.app.events.create_event(expo)
    given: dict[str, Any] = {"contractor_id": person, "scheduled_time": "2025-10-27T09:00:00", **WEEKLY}
    row = await local_office.schedule(**given, event_id=event.id)
    assert row.scheduled_time == datetime(2025, 10, 27, 14, tzinfo=UTC)
    assert (await after(local_office, row)).scheduled_time == datetime(2025, 11, 3, 15, tzinfo=UTC)
    elsewhere = await local_office.schedule(**given)
    assert elsewhere.scheduled_time == datetime(2025, 10, 27, 9, tzinfo=UTC)


async def test_the_date_in_a_text_and_the_time_of_an_answer_are_read_by_the_same_clock(local_office: Office) -> None:
    person = await local_office.add_person(phone="+12125550100")
    row = await local_office.sent(contractor_id=person)
    answered = await local_office.followups.record_follow_up_response(
        row.id, {"response_text": "Fine", "received_at": "2025-10-15T09:30:00"}
    )
    assert answered.response_received_at == datetime(2025, 10, 15, 13, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("person", "event", "zone", "source"),
    [
        ({"phone": "+12125550100", "timezone": "Asia/Tokyo"}, False, "Asia/Tokyo", "contact"),
        ({"phone": "+12125550100"}, True, "America/New_York", "number"),
        ({"phone": IN_TWO_ZONES}, True, "America/Chicago", "event"),
        ({"email": "ben@example.com"}, False, "UTC", "tenant"),
    ],
)
async def test_a_follow_up_and_its_story_say_by_whose_clock_it_goes_and_what_tells_it(
    local_office: Office, person: dict[str, Any], event: bool, zone: str, source: str
) -> None:
    office = local_office
    expo = {"name": "Expo", "date": "2025-10-18", "timezone": "America/Chicago"}
    about = {"event_id": (await office.app.events.create_event(expo)).id} if event else {}
    async with client_of(office.app) as http:
        api = Api(http)
        wanted = {
            "contractor_id": await office.add_person(**person),
            "scheduled_time": (NOW + timedelta(days=1)).isoformat(),
            "followup_type": "check_in",
            "message_template": "Hi",
            "channel": "sms" if "phone" in person else "email",
            **about,
        }
        row = await api.good("POST", "/follow-ups", wanted, expect=201)
        for shown in (
            row,
            await api.good("GET", f"/follow-ups/{row['id']}"),
            *await api.good("GET", "/follow-ups/pending"),
            await api.good("GET", f"/messages/follow-up-{row['id']}/why"),
        ):
            assert (shown["timezone"], shown["timezone_source"]) == (zone, source)
