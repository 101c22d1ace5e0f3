"""Agendas from files that take the place of others: what stays whose, what moves along, what a rehearsal tells."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from tidings.app import App
from tidings.clock import ManualClock
from tidings.errors import Conflict, InvalidInput
from tidings.features.events.agenda.file import read_agenda
from tidings.features.events.models import Event
from tidings.features.events.schemas import AgendaIn, EventIn
from tidings.messages.statuses import Status

OpenApp = Callable[..., Awaitable[App]]

FILES = Path(__file__).parent.parent / "data" / "agendas"
NOW = datetime(2027, 5, 1, 12, tzinfo=UTC)


def talk(title: str, date: str | None, guid: str = "g1", **fields: Any) -> dict[str, Any]:
    return {"guid": guid, "title": title, "date": date, "duration": "0:45", "room": "Hall", **fields}


def file(*talks: dict[str, Any], zone: str | None = "Europe/Berlin", **more: Any) -> AgendaIn:
    conference = {
        "acronym": "demo27",
        "title": "Demo 27",
        "start": "2027-06-05",
        "time_zone_name": zone,
        "days": [{"index": 1, "date": "2027-06-05", "rooms": {"Hall": list(talks)}}],
    }
    return agenda(json.dumps({"schedule": {"conference": conference}}), **more)


def agenda(content: str | bytes, *, timezone: str | None = None) -> AgendaIn:
    return AgendaIn(sessions=list(read_agenda(content, timezone=timezone).sessions), timezone=timezone)


@dataclass
class Imported:
    app: App
    clock: ManualClock
    id: int = 0

    async def create(self, wanted: AgendaIn, zone: str = "Europe/Berlin") -> Event:
        event = await self.app.events.create_event(
            EventIn(name="Demo 27", date="2027-06-05", timezone=zone, sessions=wanted.sessions)
        )
        self.id = event.id
        return event

    async def register(self, number: int, *sessions: str) -> int:
        person, _ = await self.app.events.create_contractor(
            {"name": f"Person {number}", "phone": f"+1810555{number:04}"}
        )
        await self.app.events.register(self.id, {"contractor_id": person.id, "sessions": list(sessions)})
        return person.id

    async def keys(self) -> dict[str, str]:
        return {slot.title: slot.key for slot in await self.app.events.program.get_agenda(self.id)}

    async def messages(self, person: int | None = None) -> list[dict[str, Any]]:
        return await self.app.events.list_messages(event_id=self.id, contractor_id=person, limit=1000)

    async def local(self, message_type: str) -> list[str]:
        """The times of somebody's waiting messages of a type, on the event's clocks."""
        zone = ZoneInfo((await self.app.events.program.get_event(self.id)).timezone)
        return [
            f"{row['scheduled_time'].astimezone(zone):%m-%d %H:%M}"
            for row in await self.messages()
            if row["message_type"] == message_type and row["status"] == Status.SCHEDULED
        ]


@pytest.fixture
async def imported(open_app: OpenApp, database_url: str) -> Imported:
    clock = ManualClock(NOW)
    return Imported(await open_app(clock=clock, database_url=database_url), clock)


async def test_people_stay_with_their_session_when_another_one_of_its_guid_comes_before_it(
    imported: Imported,
) -> None:
    await imported.create(agenda((FILES / "same-guid-1.json").read_bytes()))
    ada = await imported.register(1, "g1")
    await imported.app.events.program.change_agenda(imported.id, agenda((FILES / "same-guid-2.json").read_bytes()))
    assert await imported.keys() == {"A at 14": "g1-2", "B at 16": "g1"}
    told = {row["personalization_data"].get("session_title") for row in await imported.messages(ada)}
    assert told == {None, "B at 16"}
    assert await imported.local("speaker_alert") == ["06-05 15:50"]


async def test_a_session_that_went_leaves_its_key_to_nobody(imported: Imported) -> None:
    first, second = talk("A", "2027-06-05T14:00"), talk("B", "2027-06-05T16:00")
    await imported.create(file(first, second))
    bo = await imported.register(1, "g1-2")
    change = imported.app.events.program.change_agenda
    await change(imported.id, file(first))
    await change(imported.id, file(talk("C", "2027-06-05T09:00"), first))
    assert await imported.keys() == {"A": "g1", "C": "g1-3"}
    assert not any(row["session_key"] == "g1-3" for row in await imported.messages(bo))


async def test_another_timezone_moves_what_was_told_by_the_clocks_and_leaves_instants(imported: Imported) -> None:
    talks = talk("Local", "2027-06-05T10:30", "a"), talk("Instant", "2027-06-05T12:00:00+02:00", "b")
    await imported.create(file(*talks))
    await imported.register(1)
    assert await imported.local("check_in_reminder_night_before") == ["06-04 20:00"]
    event, messages = await imported.app.events.program.change_event(imported.id, {"timezone": "America/New_York"})
    slots = {slot.title: slot for slot in await imported.app.events.program.get_agenda(imported.id)}
    assert slots["Local"].start_time == datetime(2027, 6, 5, 14, 30, tzinfo=UTC)
    assert slots["Local"].end_time - slots["Local"].start_time == timedelta(minutes=45)
    assert slots["Instant"].start_time == datetime(2027, 6, 5, 10, tzinfo=UTC)
    assert (event.timezone, event.start_time) == ("America/New_York", slots["Instant"].start_time)
    assert await imported.local("check_in_reminder_night_before") == ["06-04 20:00"]
    assert sorted(await imported.local("speaker_alert")) == ["06-05 05:45", "06-05 10:15"]
    texts = {row["personalization_data"].get("session_time") for row in await imported.messages()}
    assert texts == {None, "10:30", "06:00"}
    assert messages.moved > 0


async def test_a_day_that_rolls_over_moves_the_events_date_and_its_evening_before(imported: Imported) -> None:
    await imported.create(file(talk("Late", "2027-06-05T02:00:00+02:00"), zone="Europe/Berlin"))
    await imported.register(1)
    assert await imported.local("check_in_reminder_night_before") == ["06-04 20:00"]
    event, _ = await imported.app.events.program.change_event(imported.id, {"timezone": "America/New_York"})
    assert f"{event.date}" == "2027-06-04"
    assert await imported.local("check_in_reminder_night_before") == ["06-03 20:00"]


async def test_times_of_the_event_that_somebody_set_by_its_clocks_move_along_too(imported: Imported) -> None:
    create, change = imported.app.events.create_event, imported.app.events.program.change_event
    hours = {"start_time": "2027-06-05T08:00", "end_time": "2027-06-05T22:00"}
    local = await create({"name": "L", "date": "2027-06-05", "timezone": "Europe/Berlin", **hours})
    instants = {name: f"{value}:00Z" for name, value in hours.items()}
    fixed = await create({"name": "F", "date": "2027-06-05", "timezone": "Europe/Berlin", **instants})
    usual = await create({"name": "U", "date": "2027-06-05", "timezone": "Europe/Berlin"})
    starts = [(await change(one.id, {"timezone": "Asia/Tokyo"}))[0].start_time for one in (local, fixed, usual)]
    assert [f"{start.astimezone(ZoneInfo('Asia/Tokyo')):%H:%M}" for start in starts] == ["08:00", "17:00", "09:00"]


async def test_an_import_with_another_timezone_changes_the_events(imported: Imported) -> None:
    talks = talk("Local", "2027-06-05T10:30", "a"), talk("Instant", "2027-06-05T12:00:00+02:00", "b")
    await imported.create(file(*talks))
    await imported.register(1)
    new, messages = await imported.app.events.program.change_agenda(
        imported.id, file(*talks, timezone="Europe/London")
    )
    assert [(one.after.title, one.is_moved) for one in new.changed] == [("Local", True)]
    assert (await imported.app.events.program.get_event(imported.id)).timezone == "Europe/London"
    assert sorted(await imported.local("speaker_alert")) == ["06-05 10:15", "06-05 10:45"]
    assert messages.cancelled == 0


async def test_a_timezone_that_is_none_changes_nothing(imported: Imported) -> None:
    await imported.create(file(talk("Local", "2027-06-05T10:30")))
    with pytest.raises(InvalidInput, match="timezone"):
        await imported.app.events.program.change_event(imported.id, {"timezone": "Mars"})


async def test_an_event_that_is_over_is_completed_and_plans_nothing(imported: Imported) -> None:
    imported.clock.move(timedelta(days=365))
    event = await imported.create(file(talk("Local", "2027-06-05T10:30")))
    assert event.status == "completed"
    person, _ = await imported.app.events.create_contractor({"name": "Ada", "phone": "+18105550123"})
    with pytest.raises(Conflict, match="is completed"):
        await imported.app.events.register(event.id, {"contractor_id": person.id})
    assert await imported.messages() == []


async def test_a_past_event_that_was_only_written_down_can_be_put_right(imported: Imported) -> None:
    imported.clock.move(timedelta(days=365))
    event = await imported.create(file(talk("Local", "2027-06-05T10:30")))
    change, get = imported.app.events.program.change_agenda, imported.app.events.program.get_event
    _, nothing = await change(event.id, file(talk("Same year", "2027-06-06T10:30")))
    assert ((await get(event.id)).status, sum(nothing.as_dict().values())) == ("completed", 0)
    await change(event.id, file(talk("Next year", "2028-06-03T10:30")))
    assert (await get(event.id)).status == "upcoming"
    await imported.register(1)
    assert await imported.local("speaker_alert") == ["06-03 10:15"]


async def test_a_rehearsal_tells_what_the_change_then_does_and_writes_nothing(imported: Imported) -> None:
    talks = [talk(f"Talk {n}", f"2027-06-05T{9 + n:02}:30", f"g{n}") for n in range(4)]
    await imported.create(file(*talks))
    for number in range(3):
        await imported.register(number, *(["g0", "g1"] if number == 2 else []))
    before = await imported.messages()
    talks[0]["date"] = "2027-06-05T09:00"
    talks[1]["title"] = "Another name"
    wanted = file(*talks[:3], talk("New", "2027-06-05T19:00", "new"))
    rehearsal = await imported.app.events.program.rehearse_agenda(imported.id, wanted)
    assert await imported.messages() == before
    assert await imported.keys() == {f"Talk {n}": f"g{n}" for n in range(4)}
    new, messages = await imported.app.events.program.change_agenda(imported.id, wanted)
    assert rehearsal.messages == messages
    assert (rehearsal.agenda.added, rehearsal.agenda.removed) == (new.added, new.removed)
    assert [slot.title for slot in new.removed] == ["Talk 3"]
    assert {change.after.title: (change.is_moved, change.is_renamed) for change in new.changed} == {
        "Talk 0": (True, False),
        "Another name": (False, True),
    }
    assert rehearsal.by_session["g0"].moved == 6
    assert rehearsal.by_session["g1"].updated == 6
    assert (rehearsal.by_session["g3"].cancelled, rehearsal.by_session["new"].scheduled) == (4, 4)
    assert rehearsal.people == 3
    waiting = [row for row in await imported.messages() if row["status"] == Status.SCHEDULED]
    assert rehearsal.load.messages == len(waiting) / 3
    assert rehearsal.load.segments >= rehearsal.load.messages
    again = await imported.app.events.program.rehearse_agenda(imported.id, wanted)
    assert not again.agenda.is_other
    assert again.messages.unchanged == sum(again.messages.as_dict().values())
