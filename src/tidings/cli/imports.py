"""`tidings import`: agendas and people from the files that others export."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from tidings.cli.opening import open_app
from tidings.cli.output import counted, local_time, open_console
from tidings.cli.running import prepare, run
from tidings.features.events.agenda.file import AgendaFile, read_agenda
from tidings.features.events.models import Event, SessionKind
from tidings.features.events.people_import import ImportResult, import_people
from tidings.features.events.people_import import Progress as Report
from tidings.features.events.plan_changes import ScheduleResult
from tidings.features.events.schemas import AgendaIn, EventIn
from tidings.messages.contacts.people_file import Person, read_people
from tidings.registry import Settings

app = typer.Typer(name="import", help="Reads agendas and people from files.", no_args_is_help=True)

File = Annotated[Path, typer.Argument(exists=True, dir_okay=False, readable=True, show_default=False)]
_KINDS = {SessionKind.SESSION: "session", SessionKind.BREAK: "break", SessionKind.NETWORKING: "networking slot"}


@app.command()
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
        console.print(f"  messages: {_changes(changed)}", soft_wrap=True)


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


@app.command()
def people(
    file: File,
    event: Annotated[str | None, typer.Option(help="Id or slug of the event to register them for.")] = None,
) -> None:
    """Saves the people of a CSV file and, with --event, registers them: all of them, or none."""
    settings = prepare()
    read = read_people(file.read_bytes(), region=settings.default_region, source=file.name)
    console = open_console()
    registered_for, result = run(_people(settings, read, event, file.name, console))
    console.print(
        f"{counted(len(read), 'person', 'people')}: {result.added:,} new, {result.completed:,} known before",
        soft_wrap=True,
    )
    if registered_for is not None:
        console.print(f"{registered_for.name}: {_registrations(result)}", soft_wrap=True)
    if registered_for is not None or any(result.messages.as_dict().values()):
        console.print(f"messages: {_changes(result.messages)}", soft_wrap=True)
    if registered_for is not None:
        console.print(f"next: tidings plan {registered_for.slug or registered_for.id}", soft_wrap=True)


async def _people(
    settings: Settings, read: list[Person], name: str | None, source: str, console: Console
) -> tuple[Event | None, ImportResult]:
    async with open_app(settings) as opened:
        event = await opened.events.program.find_event_by(name) if name is not None else None
        with _reporting(console) as report:
            result = await import_people(
                opened.work, read, event.id if event else None, source=source, on_progress=report
            )
        return event, result


@contextmanager
def _reporting(console: Console) -> Iterator[Report]:
    """Progress bars on a terminal, and elsewhere a line for each step when it is done."""
    if not console.is_terminal:
        yield lambda what, done, of: console.print(f"{what}: {done:,} of {of:,}") if done == of else None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        tasks = {}

        def report(what: str, done: int, of: int) -> None:
            if what not in tasks:
                tasks[what] = progress.add_task(what, total=of)
            progress.update(tasks[what], completed=done, total=of)

        yield report


def _sessions(read: AgendaFile) -> str:
    """`14 sessions, 3 breaks`."""
    found = Counter(session.kind for session in read.sessions)
    return ", ".join(counted(found[kind], name) for kind, name in _KINDS.items() if found[kind]) or "no sessions"


def _span(event: Event) -> str:
    start = local_time(event.start_time, event.timezone)
    end = local_time(event.end_time, event.timezone, near=event.start_time)
    return f"{start} to {end}, {event.timezone}"


def _registrations(result: ImportResult) -> str:
    already = f", {result.already_registered:,} were already" if result.already_registered else ""
    return f"{counted(result.registered, 'person', 'people')} registered{already}"


def _changes(changed: ScheduleResult) -> str:
    """`12 scheduled, 3 skipped because their time had passed`."""
    counts = {name: count for name, count in changed.as_dict().items() if count and name != "unchanged"}
    words = {"skipped": "skipped because their time has passed"}
    return ", ".join(f"{count:,} {words.get(name, name)}" for name, count in counts.items()) or "nothing changed"
