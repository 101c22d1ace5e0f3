"""`tidings import people`: people, and what they registered for, from the files that others export."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from tidings.cli.imports.people_shown import (
    show_bad,
    show_file,
    show_preview,
    show_result,
)
from tidings.cli.imports.shown import File
from tidings.cli.opening import open_app
from tidings.cli.output import open_console
from tidings.cli.running import prepare, run
from tidings.errors import InvalidInput
from tidings.features.events.imported_people import Progress as Report
from tidings.features.events.models import Event
from tidings.features.events.people_import import ImportResult, import_people
from tidings.messages.contacts.files.people_file import HowToRead, PeopleFile, read_people
from tidings.messages.contacts.files.statuses import read_statuses
from tidings.messages.gate.opt_outs import Reach
from tidings.registry import Settings

Many = list[str] | None


def people(
    file: File,
    event: Annotated[str | None, typer.Option(help="Id or slug of the event to register them for.")] = None,
    columns: Annotated[
        Many,
        typer.Option("--map", metavar="HEADER=FIELD", help="What a column is about; ignore: nothing. Repeatable."),
    ] = None,
    statuses: Annotated[
        Many,
        typer.Option(
            "--status",
            metavar="VALUE=STATUS",
            help="What a status means: registered, waiting, declined, cancelled. Repeatable.",
        ),
    ] = None,
    encoding: Annotated[str | None, typer.Option(help="The file's encoding; without it, it is found out.")] = None,
    sheet: Annotated[str | None, typer.Option(help="The sheet of a workbook; without it, the first one.")] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Imports nobody when anything cannot be used.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Shows what would be saved, and writes nothing.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Does not show a preview and ask first.")] = False,
) -> None:
    """Saves the people of a CSV file or an .xlsx workbook and, with --event, registers those who come.

    What cannot be used is listed, and the rest is imported. Exports of pretix, Eventbrite, Luma, HubSpot, Shopify and
    others are recognised, and their statuses and opt-outs obeyed.
    """
    settings = prepare()
    how = HowToRead(_pairs(columns or []), read_statuses(statuses or []), encoding, sheet)
    read = read_people(file, region=settings.default_region, source=file.name, how=how, strict=strict)
    console = open_console()
    show_file(console, read)
    asks = has_person(console) and not (yes or dry_run)
    if asks or dry_run:
        show_preview(console, read, with_event=event is not None)
    if asks and not typer.confirm("Import them?", default=True):
        console.print("nothing was written")
        raise typer.Exit(1)
    registered_for, result = run(_people(settings, read, event, file.name, console, strict=strict, dry_run=dry_run))
    show_result(console, read, result, registered_for, dry_run=dry_run)
    show_bad(console, read, result)
    region = settings.default_region
    if any(row.field == "phone" and f"exist in {region};" in row.message for row in read.bad):
        console.print(
            f"numbers without + are read as dialled in {region}; TIDINGS_DEFAULT_REGION says where", soft_wrap=True
        )


def has_person(console: Console) -> bool:
    """Whether somebody sits at a terminal and can be asked."""
    return console.is_terminal and sys.stdin.isatty()


def _pairs(told: list[str]) -> dict[str, str]:
    """`["Handy privat=mobile"]` by header. Raises InvalidInput."""
    found: dict[str, str] = {}
    for one in told:
        header, sign, name = one.rpartition("=")
        if not sign:
            raise InvalidInput("map", f"{one!r} is not HEADER=FIELD, such as 'Handy privat=mobile'")
        found[header.strip()] = name.strip()
    return found


async def _people(
    settings: Settings,
    read: PeopleFile,
    name: str | None,
    source: str,
    console: Console,
    *,
    strict: bool,
    dry_run: bool,
) -> tuple[Event | None, ImportResult]:
    async with open_app(settings) as opened:
        event = await opened.events.program.find_event_by(name) if name is not None else None
        with _reporting(console) as report:
            result = await import_people(
                opened.work,
                read.people,
                event.id if event else None,
                source=source,
                reach=Reach(settings.opt_outs == "installation"),
                strict=strict,
                dry_run=dry_run,
                on_progress=report,
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
