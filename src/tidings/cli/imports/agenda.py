"""`tidings import agenda`: events and their agendas from the files that others export."""

from __future__ import annotations

from collections import Counter
from typing import Annotated

import typer

from tidings.cli.imports.shown import File, changes
from tidings.cli.opening import open_app
from tidings.cli.output import counted, local_time, open_console
from tidings.cli.running import prepare, run
from tidings.features.events.agenda.file import AgendaFile, read_agenda
from tidings.features.events.models import Event, SessionKind
from tidings.features.events.plan_changes import ScheduleResult
from tidings.features.events.schemas import AgendaIn, EventIn
from tidings.registry import Settings

_KINDS = {SessionKind.SESSION: "session", SessionKind.BREAK: "break", SessionKind.NETWORKING: "networking slot"}


def agenda(
    file: File,
    event: Annotated[str | None, typer.Option(help="Id or slug of the event whose agenda it replaces.")] = None,
    timezone: Annotated[str | None, typer.Option(help="IANA timezone of a file that names none.")] = None,
) -> None:
    """Creates an event from a schedule.json of pretalx or frab, or replaces the agenda of the one with its slug."""
    settings = prepare()
    read = read_agenda(file.read_bytes(), fallback_timezone=timezone or settings.default_timezone, source=file.name)
    stored, changed = run(_agenda(settings, read, event))
    console = open_console()
    done = "created" if changed is None else "agenda replaced"
    console.print(f"{stored.name}: {done} (event {stored.id}, slug {stored.slug or 'none'})", soft_wrap=True)
    console.print(f"  {_sessions(read)}, {_span(stored)}", soft_wrap=True)
    if changed is None:
        console.print(f"  next: tidings import people FILE.csv --event {stored.slug or stored.id}", soft_wrap=True)
    else:
        console.print(f"  messages: {changes(changed)}", soft_wrap=True)


async def _agenda(settings: Settings, read: AgendaFile, name: str | None) -> tuple[Event, ScheduleResult | None]:
    """The stored event, and what changed in its schedule unless it is a new one."""
    async with open_app(settings) as opened:
        events = opened.events
        if name is not None:
            known: Event | None = await events.program.find_event_by(name)
        else:
            known = next((event for event in await events.program.list_events() if event.slug == read.slug), None)
        if known is None:
            return await events.create_event(
                EventIn(
                    name=read.name,
                    slug=read.slug,
                    date=read.date,
                    timezone=read.timezone,
                    location=read.location,
                    sessions=read.sessions,
                )
            ), None
        changed = await events.program.replace_agenda(known.id, AgendaIn(sessions=read.sessions))
        return await events.program.get_event(known.id), changed


def _sessions(read: AgendaFile) -> str:
    """`14 sessions, 3 breaks`."""
    found = Counter(session.kind for session in read.sessions)
    return ", ".join(counted(found[kind], name) for kind, name in _KINDS.items() if found[kind]) or "no sessions"


def _span(event: Event) -> str:
    start = local_time(event.start_time, event.timezone)
    end = local_time(event.end_time, event.timezone, near=event.start_time)
    return f"{start} to {end}, {event.timezone}"
