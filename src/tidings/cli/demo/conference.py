"""`tidings demo`: a real conference day in about a minute, delivered by the real engine to the simulator."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime, time, timedelta
from importlib.resources import files
from typing import Any
from zoneinfo import ZoneInfo

from rich.console import Console

from tidings.app import App
from tidings.cli.demo.people import Guest, demo_people
from tidings.cli.demo.rehearsal import sleep_until
from tidings.cli.demo.view import LedgerView, account, lateness, print_lateness
from tidings.clock import AcceleratedClock, Stage
from tidings.features.events.agenda.file import read_agenda
from tidings.features.events.models import AgendaSession, Event, SessionKind
from tidings.features.events.schemas import AgendaIn, EventIn, RegistrationIn, SessionIn, SessionOut
from tidings.messages.statuses import OPEN, Status
from tidings.providers.simulator import Simulator

EVENING = timedelta(hours=1)
"""How long before the first reminder the demo begins, in its own time: people register."""

EVENING_SHARE, NIGHT_SHARE = 0.1, 0.08
"""Parts of the demo's time that the evening and the night before the event take."""


class ConferenceDay:
    """The sample agenda's day, in `seconds`, most of them for the day itself: people, talks, changes."""

    def __init__(self, seconds: float, people: int) -> None:
        # A minute of the demo is hours of the day, so a limit per minute would hold the day up.
        self.queue_settings: Mapping[str, str] = {
            "EVENT_MESSAGES_RATE_LIMIT": "off",
            "EVENT_MESSAGES_CONCURRENCY": "40",
        }
        self.settings: Mapping[str, Any] = {}
        sample = files("tidings.cli").joinpath("samples/democon.json").read_bytes()
        agenda = read_agenda(sample, source="democon.json")
        zone = ZoneInfo(agenda.timezone)
        first = min(slot.start_time for slot in agenda.sessions).astimezone(zone)
        last = max(slot.end_time for slot in agenda.sessions).astimezone(zone)
        self._wanted = EventIn(
            name=agenda.name,
            slug=agenda.slug,
            date=agenda.date,
            timezone=agenda.timezone,
            location=agenda.location or "Gray Room and Tan Room",
            sessions=[*agenda.sessions, *pauses(agenda.sessions, last)],
        )
        reminder = datetime.combine(first.date() - timedelta(days=1), time(20), zone)
        opens, dusk, dawn = reminder - EVENING, reminder + timedelta(minutes=30), first - timedelta(minutes=65)
        self.ends = last + timedelta(hours=3, minutes=10)
        self.clock = AcceleratedClock(
            Stage(opens, (dusk - opens).total_seconds() / (seconds * EVENING_SHARE)),
            Stage(dusk, (dawn - dusk).total_seconds() / (seconds * NIGHT_SHARE)),
            Stage(dawn, (self.ends - dawn).total_seconds() / (seconds * (1 - EVENING_SHARE - NIGHT_SHARE))),
        )
        self.title = f"{agenda.name}, {agenda.date}: its agenda, its people and every message"
        self.zone = agenda.timezone
        self._people = demo_people(people)

    def simulator(self) -> Simulator:
        """One that takes everything."""
        return Simulator(stands_in=True)

    async def prepare(self, app: App) -> None:
        """The event and its agenda."""
        self._event = await app.events.create_event(self._wanted)

    async def tell(self, app: App, view: LedgerView) -> None:
        """Most register before the day, a talk moves, one person leaves and some come late."""
        event, people = self._event, self._people
        agenda = await app.events.program.get_agenda(event.id)
        talks = [slot for slot in agenda if slot.kind == SessionKind.SESSION]
        late = max(len(people) // 10, 1)
        registered = [await _register(app, event, person, talks) for person in people[:-late]]

        await sleep_until(app, talks[0].start_time + timedelta(minutes=50))
        moved = max(talks, key=lambda slot: slot.start_time)
        changed = [
            SessionIn(**{**SessionOut.model_validate(slot).model_dump(), **_postponed(slot, moved.key)})
            for slot in agenda
        ]
        await app.events.program.replace_agenda(event.id, AgendaIn(sessions=changed))

        await sleep_until(app, talks[0].start_time + timedelta(hours=2))
        for person in people[-late:]:
            await _register(app, event, person, talks)

        await sleep_until(app, talks[0].start_time + timedelta(hours=4))
        await app.events.registrations.cancel(event.id, registered[0])

    async def summarise(self, app: App, console: Console) -> bool:
        """What became of every message. Whether all of them are accounted for."""
        counts = await app.events.count_messages(self._event.id)
        by_status: Counter[Status] = Counter()
        for status, _, count in counts:
            by_status[status] += count
        total, waiting = by_status.total(), sum(by_status[status] for status in OPEN)
        kept = len(app.simulator.messages)

        table = account("What became of every message")
        table.add_row(str(total), "planned")
        table.add_row(str(by_status[Status.SENT]), f"sent, and {kept} kept by the simulator")
        for status in (Status.SKIPPED, Status.CANCELLED):
            for found, reason, count in counts:
                if found is status:
                    table.add_row(str(count), f"{status}: {reason.sentence if reason else 'no reason given'}")
        table.add_row(str(by_status[Status.FAILED]), "failed")
        if waiting:
            table.add_row(str(waiting), "[red]still waiting[/]")
        console.print(table)
        print_lateness(console, await lateness(app))
        complete = waiting == 0 and kept == by_status[Status.SENT] and total > 0
        console.print(
            "Every message is accounted for." if complete else "[red]Not every message is accounted for.[/]"
        )
        return complete


def pauses(sessions: Sequence[SessionIn], last: datetime) -> list[SessionIn]:
    """Breaks in the agenda's gaps and an hour to meet people at its end."""
    found: list[SessionIn] = []
    end = None
    for slot in sorted(sessions, key=lambda slot: slot.start_time):
        if end is not None and slot.start_time > end:
            number = len(found)
            found.append(
                SessionIn(
                    kind=SessionKind.BREAK,
                    title=("Coffee", "Lunch", "Tea")[number % 3],
                    sponsor=("Northwind Roasters", "Harbor Kitchens", "Leaf & Kettle")[number % 3],
                    start_time=end,
                    end_time=slot.start_time,
                )
            )
        end = slot.end_time if end is None else max(end, slot.end_time)
    found.append(
        SessionIn(kind=SessionKind.NETWORKING, title="Reception", start_time=last, end_time=last + timedelta(hours=1))
    )
    return found


def _postponed(slot: AgendaSession, key: str) -> dict[str, datetime]:
    delay = timedelta(minutes=20 if slot.key == key else 0)
    return {"start_time": slot.start_time + delay, "end_time": slot.end_time + delay}


async def _register(app: App, event: Event, person: Guest, talks: Sequence[AgendaSession]) -> int:
    contractor, _ = await app.events.create_contractor(person.contractor)
    chosen = [slot.key for slot in talks if slot.room == person.favourite_room] or [slot.key for slot in talks]
    await app.events.register(event.id, RegistrationIn(contractor_id=contractor.id, sessions=chosen))
    return contractor.id
