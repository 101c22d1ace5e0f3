"""One person's story over everything that writes to them: planned, sent, put off, answered, opted out, consented.

Each source is read by an index from a moment backwards, and what they say is put in one order. So a page costs the
same however long the story is.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from heapq import nlargest

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from tidings.errors import InvalidInput
from tidings.messages.contacts.timeline.entries import (
    EPOCH,
    Kinds,
    Place,
    TimelineEntry,
    consents_to,
    heard,
    lines_about,
    lines_to_nobody,
    opt_outs_of,
    planned,
    replies_of,
    replies_of_strangers,
)
from tidings.messages.kind import Addressee

_CURSOR = re.compile(r"(-?\d{1,18})\.(\d{1,2})\.(\d{1,19})", re.ASCII)


@dataclass(frozen=True, slots=True)
class TimelinePage:
    """Entries, the newest first. `cursor` is where the next page begins, None on the last one."""

    entries: Sequence[TimelineEntry]
    cursor: str | None


async def read_timeline(
    session: AsyncSession, whom: Addressee, kinds: Kinds, *, cursor: str | None, limit: int
) -> TimelinePage:
    """A page of somebody's timeline. Raises InvalidInput for a cursor that no page has told."""
    before = _read_cursor(cursor)
    sources: list[Callable[[int], Awaitable[Iterable[TimelineEntry]]]] = [
        lambda source: planned(session, whom, kinds, source),
        lambda source: lines_about(session, whom, before, source, limit),
        lambda source: replies_of(session, whom, before, source, limit),
        lambda source: replies_of_strangers(session, whom, before, source, limit),
        lambda source: opt_outs_of(session, whom, source),
        lambda source: consents_to(session, whom, source),
    ]
    for kind in kinds:
        sources += [lines_to_nobody(session, whom, kind, before, limit), heard(session, whom, kind, before, limit)]
    found: list[TimelineEntry] = []
    for number, source in enumerate(sources):
        found += [one for one in await source(number) if before is None or one.place < before]
    page = nlargest(limit + 1, found, key=lambda one: one.place)
    entries = await _with_their_messages(session, page[:limit], kinds)
    return TimelinePage(entries, _cursor(page[limit - 1].place) if len(page) > limit else None)


def _cursor(place: Place) -> str:
    at, source, row_id = place
    return f"{(at - EPOCH) // timedelta(microseconds=1)}.{source}.{row_id}"


def _read_cursor(cursor: str | None) -> Place | None:
    if cursor is None:
        return None
    if (parts := _CURSOR.fullmatch(cursor)) is None:
        raise InvalidInput("cursor", "is none that a page has told; leave it out to begin with the newest")
    try:
        return EPOCH + timedelta(microseconds=int(parts[1])), int(parts[2]), int(parts[3])
    except OverflowError as error:
        raise InvalidInput("cursor", "is none that a page has told; leave it out to begin with the newest") from error


async def _with_their_messages(
    session: AsyncSession, entries: Sequence[TimelineEntry], kinds: Kinds
) -> list[TimelineEntry]:
    """The same, each saying what its message is about: one statement a kind."""
    about: dict[str, str] = {}
    for kind in kinds:
        prefix = f"{kind.name}-"
        names = {one.message for one in entries if one.message and one.about is None}
        numbers = [name.removeprefix(prefix) for name in names if name.startswith(prefix)]
        ids = sorted(int(number) for number in numbers if number.isdecimal())
        if ids:
            rows = await session.scalars(select(kind.model).where(kind.model.id.in_(ids)))
            about |= {kind.job_id(row.id): kind.about(row) for row in rows}
    return [replace(one, about=one.about or about.get(one.message or "")) for one in entries]
