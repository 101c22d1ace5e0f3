"""How a new agenda differs from the one before, as `tidings import agenda` prints it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime

from rich.console import Console

from tidings.cli.imports.shown import changes, say
from tidings.cli.output import counted, local_time
from tidings.features.events.agenda_changes import NewAgenda, SessionChange
from tidings.features.events.plan_changes import ScheduleResult
from tidings.features.events.rehearsal import PersonalLoad
from tidings.features.events.rules.plan import SessionFacts

_MOST = 20
_NAMED = {"speaker": "speaker", "room": "room", "sponsor": "sponsor", "kind": "kind"}


def show_difference(
    console: Console, agenda: NewAgenda, by_session: Mapping[str, ScheduleResult], *, every: bool
) -> None:
    """A line for each session that is new, gone or other, with the messages that it changes where they are known.

    Only the first ones, unless `every` one is wanted.
    """
    lines = list(_lines(agenda, by_session))
    shown = lines if every else lines[:_MOST]
    for line in shown:
        say(console, line)
    if len(lines) > len(shown):
        say(console, f"… and {counted(len(lines) - len(shown), 'change')} more; --dry-run lists all of them")


def load_in_words(load: PersonalLoad) -> str:
    """`12 messages, 14 SMS`: on the average of several people."""
    average = " on the average" if load.people > 1 else ""
    return f"{_number(load.messages)} messages, {_number(load.segments)} SMS{average}"


def _number(value: float) -> str:
    return f"{value:,.1f}".removesuffix(".0")


def _lines(agenda: NewAgenda, by_session: Mapping[str, ScheduleResult]) -> Iterator[str]:
    before, after = agenda.before, agenda.event
    zone = after.timezone
    if before.timezone != zone:
        yield f"timezone: {before.timezone} → {zone}"
    if (before.start_time, before.end_time) != (after.start_time, after.end_time):
        was = _span(before.start_time, before.end_time, zone)
        yield f"event: {was} → {_span(after.start_time, after.end_time, zone)}{_messages(by_session, '')}"
    elif about_event := _messages(by_session, ""):
        yield f"event: as it was{about_event}"
    for change in sorted(agenda.changed, key=lambda change: change.after.start_time):
        yield f"{_change(change, zone)}{_messages(by_session, change.after.key)}"
    for slot in sorted(agenda.added, key=lambda slot: slot.start_time):
        yield f"added: {_slot(slot, zone)}{_messages(by_session, slot.key)}"
    for slot in sorted(agenda.removed, key=lambda slot: slot.start_time):
        yield f"removed: {_slot(slot, zone)}{_messages(by_session, slot.key)}"


def _change(change: SessionChange, zone: str) -> str:
    """`moved: Opening, Wed 01 May 09:00 to 09:45 → 09:30 to 10:15`, and whatever else is not as it was."""
    before, after = change.before, change.after
    parts = []
    if change.is_moved:
        was = _span(before.start_time, before.end_time, zone)
        parts.append(f"{was} → {_span(after.start_time, after.end_time, zone, near=before.start_time)}")
    parts += [
        f"{name} {getattr(before, field) or 'none'} → {getattr(after, field) or 'none'}"
        for field, name in _NAMED.items()
        if getattr(before, field) != getattr(after, field)
    ]
    what = " and ".join(name for name, is_so in (("moved", change.is_moved), ("renamed", change.is_renamed)) if is_so)
    title = f"{before.title} → {after.title}" if change.is_renamed else after.title
    return ", ".join([f"{what or 'changed'}: {title}", *parts])


def _slot(slot: SessionFacts, zone: str) -> str:
    room = f", {slot.room}" if slot.room else ""
    return f"{slot.title}, {_span(slot.start_time, slot.end_time, zone)}{room}"


def _span(start: datetime, end: datetime, zone: str, near: datetime | None = None) -> str:
    return f"{local_time(start, zone, near=near)} to {local_time(end, zone, near=start)}"


def _messages(by_session: Mapping[str, ScheduleResult], key: str) -> str:
    result = by_session.get(key)
    if result is None:
        return ""
    return f"; messages: {changes(result)}" if any(result.as_dict().values()) else ""
