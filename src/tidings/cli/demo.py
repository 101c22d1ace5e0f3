"""`tidings demo`: a real conference day in about a minute, delivered by the real engine to the simulator."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from importlib.resources import files
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo

import typer
from rich.console import Console

from tidings import log
from tidings.app import App
from tidings.channels.simulator import Simulator
from tidings.cli.demo_people import Person, demo_people
from tidings.cli.demo_view import DemoView, print_summary
from tidings.cli.running import run, settle, stop_signal
from tidings.clock import AcceleratedClock, Stage
from tidings.features.events.agenda.file import read_agenda
from tidings.features.events.models import AgendaSession, Event, SessionKind
from tidings.features.events.schemas import AgendaIn, EventIn, RegistrationIn, SessionIn, SessionOut
from tidings.settings import load

PEOPLE = 40
EVENING = timedelta(hours=1)
"""How long before the first reminder the demo begins, in its own time: people register."""

EVENING_SHARE, NIGHT_SHARE = 0.1, 0.08
"""Parts of the demo's time that the evening and the night before the event take."""

SETTLE_SECONDS = 30.0
"""How long the last messages may take after the day is over."""


@dataclass(frozen=True, slots=True)
class Day:
    """The event day of the demo, and the clock it runs on."""

    event: EventIn
    clock: AcceleratedClock
    ends: datetime


def demo(
    seconds: Annotated[float, typer.Option(min=5, max=3600, help="How long the day takes.")] = 55.0,
    people: Annotated[int, typer.Option(min=2, max=2000, help="How many people come.")] = PEOPLE,
    stay: Annotated[bool, typer.Option("--stay", help="Keep running afterwards, until Ctrl-C.")] = False,
) -> None:
    """Watch the messages of a conference day leave at their exact times. Nothing leaves this machine."""
    log.configure(level="ERROR")
    with tempfile.TemporaryDirectory(prefix="tidings-demo-") as folder:
        complete = run(_demo(Path(folder), seconds, people, stay=stay))
    if not complete:
        raise typer.Exit(1)


async def _demo(folder: Path, seconds: float, people: int, *, stay: bool) -> bool:
    console = Console(highlight=False)
    settings = load(data_dir=folder, database_url=None, redis_url=None, n8n_outbound_webhook_url=None, smtp_host=None)
    stop = stop_signal()
    day = conference_day(seconds)
    # A minute of the demo is hours of the day, so a limit per minute would hold the day up.
    async with App(
        settings,
        clock=day.clock,
        simulator=Simulator(),
        migrate=True,
        queue_settings={"EVENT_MESSAGES_RATE_LIMIT": "off", "EVENT_MESSAGES_CONCURRENCY": "40"},
    ) as app:
        event = await app.events.create_event(day.event)
        await app.start_workers()
        settle()
        view = DemoView(app, event, console)
        story = asyncio.create_task(tell(app, event, day, demo_people(people)))
        watching = asyncio.create_task(view.watch(story, until=day.ends, settle=SETTLE_SECONDS))
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait({watching, stopping}, return_when=asyncio.FIRST_COMPLETED)
        for task in (watching, story):
            if not task.done():
                task.cancel()
        await asyncio.gather(watching, story, return_exceptions=True)
        stopping.cancel()
        if story.done() and not story.cancelled() and (failure := story.exception()):
            raise failure
        complete = await print_summary(app, event, console)
        if stay and not stop.is_set():
            console.print("Staying until Ctrl-C.")
            await stop.wait()
        return complete


def conference_day(seconds: float) -> Day:
    """The sample agenda's day on a clock that takes `seconds` for it, most of them for the day itself."""
    sample = files("tidings.cli").joinpath("samples/democon.json").read_bytes()
    agenda = read_agenda(sample, source="democon.json")
    zone = ZoneInfo(agenda.timezone)
    first = min(slot.start_time for slot in agenda.sessions).astimezone(zone)
    last = max(slot.end_time for slot in agenda.sessions).astimezone(zone)
    event = EventIn(
        name=agenda.name,
        slug=agenda.slug,
        date=agenda.date,
        timezone=agenda.timezone,
        location=agenda.location or "Gray Room and Tan Room",
        sessions=[*agenda.sessions, *pauses(agenda.sessions, last)],
    )
    reminder = datetime.combine(first.date() - timedelta(days=1), time(20), zone)
    opens, dusk, dawn = reminder - EVENING, reminder + timedelta(minutes=30), first - timedelta(minutes=65)
    ends = last + timedelta(hours=3, minutes=10)
    clock = AcceleratedClock(
        Stage(opens, (dusk - opens).total_seconds() / (seconds * EVENING_SHARE)),
        Stage(dusk, (dawn - dusk).total_seconds() / (seconds * NIGHT_SHARE)),
        Stage(dawn, (ends - dawn).total_seconds() / (seconds * (1 - EVENING_SHARE - NIGHT_SHARE))),
    )
    return Day(event, clock, ends)


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


async def tell(app: App, event: Event, day: Day, people: Sequence[Person]) -> None:
    """What happens on the day: most register before it, a talk moves, one person leaves and some come late."""
    agenda = await app.events.get_agenda(event.id)
    talks = [slot for slot in agenda if slot.kind == SessionKind.SESSION]
    late = max(len(people) // 10, 1)
    registered = [await _register(app, event, person, talks) for person in people[:-late]]

    await _sleep_until(app, talks[0].start_time + timedelta(minutes=50))
    moved = max(talks, key=lambda slot: slot.start_time)
    changed = [
        SessionIn(**{**SessionOut.model_validate(slot).model_dump(), **_postponed(slot, moved.key)})
        for slot in agenda
    ]
    await app.events.replace_agenda(event.id, AgendaIn(sessions=changed))

    await _sleep_until(app, talks[0].start_time + timedelta(hours=2))
    for person in people[-late:]:
        await _register(app, event, person, talks)

    await _sleep_until(app, talks[0].start_time + timedelta(hours=4))
    await app.events.cancel_registration(event.id, registered[0])


def _postponed(slot: AgendaSession, key: str) -> dict[str, datetime]:
    delay = timedelta(minutes=20 if slot.key == key else 0)
    return {"start_time": slot.start_time + delay, "end_time": slot.end_time + delay}


async def _register(app: App, event: Event, person: Person, talks: Sequence[AgendaSession]) -> int:
    contractor, _ = await app.events.create_contractor(person.contractor)
    chosen = [slot.key for slot in talks if slot.room == person.favourite_room] or [slot.key for slot in talks]
    await app.events.register(event.id, RegistrationIn(contractor_id=contractor.id, sessions=chosen))
    return contractor.id


async def _sleep_until(app: App, moment: datetime) -> None:
    await asyncio.sleep(max(app.clock.seconds_until(moment), 0))
