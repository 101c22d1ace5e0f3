"""`tidings import people`: people, and what they registered for, from the files that others export."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from tidings.cli.imports.shown import File, changes
from tidings.cli.opening import open_app
from tidings.cli.output import counted, open_console
from tidings.cli.running import prepare, run
from tidings.features.events.models import Event
from tidings.features.events.people_import import ImportResult, import_people
from tidings.features.events.people_import import Progress as Report
from tidings.messages.contacts.files.people_file import Person, read_people
from tidings.registry import Settings


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
        console.print(f"messages: {changes(result.messages)}", soft_wrap=True)
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


def _registrations(result: ImportResult) -> str:
    already = f", {result.already_registered:,} were already" if result.already_registered else ""
    return f"{counted(result.registered, 'person', 'people')} registered{already}"
