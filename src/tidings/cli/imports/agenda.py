"""`tidings import agenda`: events and their agendas from the files that others export."""

from __future__ import annotations

import sys
from collections import Counter
from typing import Annotated

import typer
from rich.console import Console

from tidings.app import App
from tidings.cli.imports.agenda_shown import load_in_words, show_difference
from tidings.cli.imports.shown import File, changes, say
from tidings.cli.opening import open_app
from tidings.cli.output import counted, local_time, open_console
from tidings.cli.running import prepare, run
from tidings.errors import InvalidInput
from tidings.features.events.agenda.file import AgendaFile, OpenedAgenda, open_agenda
from tidings.features.events.agenda.zone_finding import ZoneFound, named
from tidings.features.events.agenda_changes import facts_of
from tidings.features.events.models import Event, EventStatus, SessionKind
from tidings.features.events.rehearsal import load_of_anybody
from tidings.features.events.rules.plan import EventFacts
from tidings.features.events.schemas import AgendaIn, EventIn
from tidings.registry import Settings

_KINDS = {SessionKind.SESSION: "session", SessionKind.BREAK: "break", SessionKind.NETWORKING: "networking slot"}
_OFFERED = 9
_OVER = "it is over, so it counts as completed: nothing is planned, and nobody can be registered"


def agenda(
    file: File,
    event: Annotated[str | None, typer.Option(help="Id or slug of the event whose agenda it replaces.")] = None,
    timezone: Annotated[
        str | None, typer.Option(help="Where it takes place, like Europe/Berlin; of a known event it is changed.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="The event's name, for a file that has none.")] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Refuses a file with anything that cannot be used.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Shows what would change, and writes nothing.")] = False,
) -> None:
    """Creates an event from an agenda, or replaces the agenda of the one with its slug.

    Reads schedule.json and schedule.xml of pretalx and frab, what pretalx's API answers, and lists of sessions with a
    title, a start and an end. Sessions that cannot be used are left out and listed.
    """
    settings = prepare()
    opened = open_agenda(file.read_bytes(), name=name, strict=strict, source=file.name)
    run(_agenda(settings, opened, event, timezone, file.name, dry_run, open_console()))


async def _agenda(
    settings: Settings,
    opened: OpenedAgenda,
    name: str | None,
    timezone: str | None,
    source: str,
    dry_run: bool,
    console: Console,
) -> None:
    default = settings.default_timezone if "default_timezone" in settings.model_fields_set else None
    async with open_app(settings, reading=dry_run) as app:
        known = await _known(app, opened.slug, name)
        stored = known.timezone if known is not None else None
        zone = opened.zone(timezone=timezone, stored=stored, fallback_timezone=default)
        if zone.is_guess and len(zone.candidates) > 1 and sys.stdin.isatty() and console.is_terminal:
            zone = _ask(console, zone)
        read = opened.read(zone, known.name if known is not None else None)
        if known is None:
            await _create(app, read, dry_run, console)
        else:
            if not read.sessions:
                await _check_left(app, known, source)
            await _replace(app, known, read, timezone is not None, dry_run, console)
    _tell(console, read, source)


async def _known(app: App, slug: str | None, name: str | None) -> Event | None:
    if name is not None:
        return await app.events.program.find_event_by(name)
    return next((event for event in await app.events.program.list_events() if slug and event.slug == slug), None)


def _ask(console: Console, zone: ZoneFound) -> ZoneFound:
    """Has a person choose among the timezones that a file may mean."""
    say(console, f"The file names no timezone; {zone.why}.", 0)
    for number, candidate in enumerate(zone.candidates[:_OFFERED], 1):
        say(console, f"{number}  {candidate}")
    while True:
        told = typer.prompt("Where does it take place? Number or name", default="1" if zone.zone else None)
        chosen = zone.candidates[int(told) - 1] if told.isdecimal() and 0 < int(told) <= _OFFERED else told
        if chosen in zone.candidates:
            return ZoneFound(chosen, "as you said")
        say(console, f"{told!r} does not fit the file's times, which may be in {named(zone.candidates)}.")


async def _create(app: App, read: AgendaFile, dry_run: bool, console: Console) -> None:
    wanted = EventIn(
        name=read.name,
        slug=read.slug,
        date=read.date,
        timezone=read.timezone,
        location=read.location,
        sessions=read.sessions,
    )
    stored, rows = app.events.program.new_event(wanted)
    if not dry_run:
        stored = await app.events.create_event(wanted)
    done = "would be created" if dry_run else "created"
    which = f"slug {stored.slug}" if dry_run else f"event {stored.id}, slug {stored.slug}"
    say(console, f"{stored.name}: {done} ({which})", 0)
    _summarise(console, read, stored)
    if stored.status == EventStatus.COMPLETED:
        say(console, _OVER)
    elif dry_run:
        facts = EventFacts(0, stored.name, stored.location, stored.timezone, stored.start_time, stored.end_time)
        load = load_of_anybody(facts, [facts_of(row) for row in rows], app.work.clock.now())
        say(console, f"somebody who registers now would get {load_in_words(load)}")
    else:
        say(console, f"next: tidings import people FILE.csv --event {stored.slug or stored.id}")


async def _check_left(app: App, known: Event, source: str) -> None:
    """Raises InvalidInput where a file without sessions would take all of an event's: so programs export an agenda
    that is not published, or not any more."""
    if stored := len(await app.events.program.get_agenda(known.id)):
        raise InvalidInput(
            source,
            f"has no sessions, and {known.name} has {stored:,}, which would all be removed; export it again, "
            "or cancel the event if it does not take place",
        )


async def _replace(app: App, known: Event, read: AgendaFile, new_zone: bool, dry_run: bool, console: Console) -> None:
    program = app.events.program
    wanted = AgendaIn(sessions=read.sessions, timezone=read.timezone if new_zone else None)
    done = "agenda would be replaced" if dry_run else "agenda replaced"
    title = f"{known.name}: {done} (event {known.id}, slug {known.slug or 'none'})"
    if dry_run:
        found = await program.rehearse_agenda(known.id, wanted)
        agenda, messages, by_session = found.agenda, found.messages, found.by_session
    else:
        agenda, messages = await program.change_agenda(known.id, wanted)
        by_session = {}
    say(console, title, 0)
    _summarise(console, read, agenda.event)
    show_difference(console, agenda, by_session, every=dry_run)
    if agenda.event.end_time <= app.work.clock.now():
        say(console, _OVER)
    say(console, f"messages: {changes(messages)}")
    if dry_run:
        say(console, f"{counted(found.people, 'person', 'people')} registered")
        if found.people:
            say(console, f"each would still get {load_in_words(found.load)}")


def _summarise(console: Console, read: AgendaFile, event: Event | EventFacts) -> None:
    """`14 sessions, 3 breaks, Wed 01 May 09:00 to 17:00, Europe/Berlin (named in the file)`."""
    found = Counter(session.kind for session in read.sessions)
    sessions = ", ".join(counted(found[kind], name) for kind, name in _KINDS.items() if found[kind]) or "no sessions"
    start = local_time(event.start_time, event.timezone)
    end = local_time(event.end_time, event.timezone, near=event.start_time)
    say(console, f"{sessions}, {start} to {end}, {event.timezone}")


def _tell(console: Console, read: AgendaFile, source: str) -> None:
    """What was left out, how the timezone is known, and what somebody should look at."""
    zone = read.zone
    if zone.is_guess:
        say(console, f"warning: the timezone {read.timezone} is a guess: {zone.why}")
        other = next((candidate for candidate in zone.candidates if candidate != read.timezone), "Europe/Berlin")
        say(console, f"elsewhere? tidings import agenda {source} --timezone {other}", 4)
    elif zone.why != "the event's":
        say(console, f"timezone: {read.timezone}, {zone.why}")
    for warning in read.warnings:
        say(console, f"warning: {warning}")
    if read.left_out:
        say(console, f"{counted(len(read.left_out), 'entry', 'entries')} left out:")
    for entry in read.left_out:
        guid = f" (guid {entry.guid})" if entry.guid else ""
        say(console, f"{entry.title}{guid}: {_last(entry.path)} {entry.reason}", 4)


def _last(path: str) -> str:
    """What a path names in the end: `duration`, `title`."""
    last = path.rpartition(".")[2]
    return "it" if last.isdecimal() else last
