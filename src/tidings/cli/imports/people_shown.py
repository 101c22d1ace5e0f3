"""What `tidings import people` says: of the file, of what it would save, and of what became of it."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console

from tidings.cli.imports.shown import changes
from tidings.cli.output import counted, new_table
from tidings.errors import BadRow
from tidings.features.events.agenda.values import cut
from tidings.features.events.models import Event
from tidings.features.events.people_import import ImportResult
from tidings.messages.contacts.files.people_file import PeopleFile, summary_of
from tidings.messages.contacts.files.person import Person
from tidings.messages.contacts.files.statuses import Attendance
from tidings.messages.contacts.parsed_names import first_name_of

PREVIEWED = 10
LISTED_LINES = 20
_WIDEST = 30
"""Characters of a cell, so that the columns beside it are seen."""

_IN_WORDS = {
    Attendance.REGISTERED: "coming",
    Attendance.UNKNOWN: "unknown status",
    Attendance.WAITING: "waiting",
    Attendance.DECLINED: "declined",
    Attendance.CANCELLED: "cancelled",
    Attendance.OPTED_OUT: "opted out",
}


def show_file(console: Console, read: PeopleFile) -> None:
    """How the file was read, before anything is written."""
    for sentence in read.said:
        console.print(sentence, soft_wrap=True)
    if read.unused:
        named = ", ".join(read.unused[:LISTED_LINES])
        more = f" and {len(read.unused) - LISTED_LINES} more" if len(read.unused) > LISTED_LINES else ""
        console.print(f"columns that are not used: {named}{more}", soft_wrap=True)


def show_preview(console: Console, read: PeopleFile, *, with_event: bool) -> None:
    """The first people as they will be saved, and how many there are of which kind."""
    titles = [
        "name",
        "greeted as",
        "phone",
        "email",
        "company",
        *(["comes"] if with_event else []),
        "gets nothing by",
    ]
    rows = [_row(person, with_event=with_event) for person in read.people[:PREVIEWED]]
    filled = [place for place in range(len(titles)) if any(row[place] for row in rows)]
    table = new_table(console, *(titles[place] for place in filled))
    for row in rows:
        table.add_row(*(cut(row[place], _WIDEST) for place in filled))
    if rows:
        console.print(table)
    if len(read.people) > PREVIEWED:
        console.print(f"… and {len(read.people) - PREVIEWED:,} more")
    said = [counted(len(read.people), "person", "people")]
    if with_event:
        said += [f"{count:,} {_IN_WORDS[one]}" for one, count in sorted(summary_of(read.people).items(), key=_place)]
    said += [f"{count:,} opted out" for count in [sum(bool(one.stops) for one in read.people)] if count]
    lines = {row.line for row in read.left_out}
    said += [f"{counted(len(lines), 'line')} left out"] if lines else []
    console.print(", ".join(said), soft_wrap=True)


def show_result(
    console: Console, read: PeopleFile, result: ImportResult, event: Event | None, *, dry_run: bool
) -> None:
    """What was saved, who was registered and who was not, and what they want."""
    would = "would be " if dry_run else ""
    people = result.added + result.completed
    console.print(
        f"{counted(people, 'person', 'people')}: {result.added:,} new, {result.completed:,} known before",
        soft_wrap=True,
    )
    if read.said_twice:
        console.print(f"{counted(read.said_twice, 'line')} about somebody who stands there already, taken together")
    if event is not None:
        _show_places(console, read, result, event, would)
    _show_wishes(console, result)
    if not dry_run and (event is not None or any(result.messages.as_dict().values())):
        console.print(f"messages: {changes(result.messages)}", soft_wrap=True)
    if dry_run:
        console.print("dry run: nothing was written")
    elif event is not None:
        console.print(f"next: tidings plan {event.slug or event.id}", soft_wrap=True)


def _show_places(console: Console, read: PeopleFile, result: ImportResult, event: Event, would: str) -> None:
    already = f", {result.already_registered:,} were already" if result.already_registered else ""
    registered = f"{counted(result.registered, 'person', 'people')} {would}registered{already}"
    console.print(f"{event.name}: {registered}", soft_wrap=True)
    if result.rebooked:
        console.print(f"{counted(result.rebooked, 'person', 'people')} of them with other sessions than before")
    if result.not_registered:
        kinds = ", ".join(
            f"{count:,} {_IN_WORDS[one]}" for one, count in sorted(result.not_registered.items(), key=_place)
        )
        console.print(f"not registered: {kinds}", soft_wrap=True)
    if result.cancelled:
        console.print(f"registrations {would}cancelled: {result.cancelled:,}, with their messages", soft_wrap=True)
    if result.left_registered:
        console.print(f"{result.left_registered:,} of them were registered before and stay so", soft_wrap=True)
    for word, count in read.unknown.most_common(LISTED_LINES):
        console.print(
            f"the status {word!r} ({count:,}) is not known, so nobody is registered by it; "
            f'say what it means: --status "{word}=registered"',
            soft_wrap=True,
        )


def _show_wishes(console: Console, result: ImportResult) -> None:
    wishes = result.wishes
    if wishes.opted_out:
        people = counted(wishes.opted_out, "person", "people")
        console.print(f"{people} opted out by the file, and nothing goes there any more", soft_wrap=True)
    channels = sorted({channel for channel, _ in wishes.consents})
    said = [f"{one} {wishes.consents[one, True]:,} yes, {wishes.consents[one, False]:,} no" for one in channels]
    if said:
        console.print(f"consent to promotional messages: {'; '.join(said)}", soft_wrap=True)


def show_bad(console: Console, read: PeopleFile, result: ImportResult) -> None:
    """Every line that was left out, what could not be used of others, and what was read in another way."""
    left_out = sorted((*read.left_out, *result.left_out), key=_line)
    _list(console, f"{counted(len({row.line for row in left_out}), 'line')} left out", left_out)
    dropped = sorted((*read.dropped, *result.bad, *result.wishes.bad), key=_line)
    _list(console, "not used, though the rest of the line was", dropped)
    _list(console, "read in another way than it is written", read.notes)


def _list(console: Console, title: str, rows: Sequence[BadRow]) -> None:
    if not rows:
        return
    console.print(f"{title}:", soft_wrap=True)
    for row in rows[:LISTED_LINES]:
        console.print(f"  {row}", soft_wrap=True)
    if len(rows) > LISTED_LINES:
        console.print(f"  … and {len(rows) - LISTED_LINES:,} more")


def _row(person: Person, *, with_event: bool) -> list[str]:
    more = f" (+{len(person.addresses)})" if person.addresses else ""
    address = person.email or ""
    shown = [
        person.name or "-",
        first_name_of(person.first_name, person.name),
        (person.phone or "") + more,
        address,
        person.company_name or "",
    ]
    comes = [_IN_WORDS[person.attendance]] if with_event else []
    return [*shown, *comes, ", ".join(sorted("anything" if one == "*" else one for one in person.stops))]


def _line(row: BadRow) -> int:
    return row.line


def _place(counted_one: tuple[Attendance, int]) -> int:
    return list(Attendance).index(counted_one[0])
