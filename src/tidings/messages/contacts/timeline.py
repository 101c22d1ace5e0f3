"""One person's story over everything that writes to them: planned, sent, put off, answered, opted out, consented.

Each source is read by an index from a moment backwards, and what they say is put in one order. So a page costs the
same however long the story is.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from heapq import nlargest
from typing import Any

from sqlalchemy import ColumnElement, and_, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from tidings.errors import InvalidInput
from tidings.messages.gate.consents import consents_of
from tidings.messages.gate.opt_outs import history_of
from tidings.messages.inbound.stored import StoredReply
from tidings.messages.kind import Addressee, MessageKind, due_time
from tidings.messages.ledger import DeliveryStatus, LedgerEntry
from tidings.messages.statuses import OPEN, Status
from tidings.messages.why import considered, outcome_of, summary_of

PLANNED = 1000
"""Messages that are still to go out of which a timeline knows, at most, of each kind."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_CURSOR = re.compile(r"(-?\d{1,18})\.(\d{1,2})\.(\d{1,19})", re.ASCII)

Place = tuple[datetime, int, int]
"""Where an entry stands: its moment, the number of its source, and its row's id."""

Kinds = Sequence[type[MessageKind]]


@dataclass(frozen=True, slots=True)
class TimelineEntry:
    """One thing that happened, or is to happen, at a moment (UTC).

    `what` is planned, sent, unknown, retry, deferred, skipped, failed, cancelled, again, in_doubt, reply, chat,
    opted_out, opted_in, or consent. `message` names the message (`event-message-123`), `about` says what that is.
    `sentences` tell what happened and why; `delivery_status` is its provider's last word.
    """

    at: datetime
    what: str
    sentences: tuple[str, ...]
    message: str | None = None
    about: str | None = None
    channel: str | None = None
    delivery_status: str | None = None
    place: Place = field(default=(_EPOCH, 0, 0), repr=False)


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
        lambda source: _planned(session, whom, kinds, source),
        lambda source: _lines(session, whom, before, source, limit),
        lambda source: _replies(session, whom, before, source, limit),
        lambda source: _strangers_replies(session, whom, before, source, limit),
        lambda source: _opt_outs(session, whom, source),
        lambda source: _consents(session, whom, source),
    ]
    for kind in kinds:
        sources += [_of_kind(session, whom, kind, before, limit), _heard(session, whom, kind, before, limit)]
    found: list[TimelineEntry] = []
    for number, source in enumerate(sources):
        found += [one for one in await source(number) if before is None or one.place < before]
    page = nlargest(limit + 1, found, key=lambda one: one.place)
    entries = await _with_their_messages(session, page[:limit], kinds)
    return TimelinePage(entries, _cursor(page[limit - 1].place) if len(page) > limit else None)


def _cursor(place: Place) -> str:
    at, source, row_id = place
    return f"{(at - _EPOCH) // timedelta(microseconds=1)}.{source}.{row_id}"


def _read_cursor(cursor: str | None) -> Place | None:
    if cursor is None:
        return None
    if (parts := _CURSOR.fullmatch(cursor)) is None:
        raise InvalidInput("cursor", "is none that a page has told; leave it out to begin with the newest")
    try:
        return _EPOCH + timedelta(microseconds=int(parts[1])), int(parts[2]), int(parts[3])
    except OverflowError as error:
        raise InvalidInput("cursor", "is none that a page has told; leave it out to begin with the newest") from error


def _earlier(at: Any, row_id: Any, before: Place | None, source: int) -> list[ColumnElement[bool]]:
    """What a source's rows have to be to stand behind a place."""
    if before is None:
        return []
    moment, number, last = before
    if source == number:
        return [at <= moment, or_(at < moment, and_(at == moment, row_id < last))]
    return [at <= moment] if source < number else [at < moment]


# The sources


async def _planned(session: AsyncSession, whom: Addressee, kinds: Kinds, source: int) -> list[TimelineEntry]:
    found: list[TimelineEntry] = []
    for number, kind in enumerate(kinds):
        if (theirs := kind.written_to(whom)) is None:
            continue
        model = kind.model
        rows = await session.scalars(
            select(model).where(theirs, model.status.in_((*OPEN, Status.WAITING))).limit(PLANNED)
        )
        for row in rows:
            at = due_time(row)
            # Rows of several kinds may have one id.
            place = (at, source, row.id * len(kinds) + number)
            name, about = kind.job_id(row.id), kind.about(row)
            sentence = summary_of(row) if row.status != Status.WAITING else "It waits for its feature to let it go."
            channel = getattr(row, "channel", None)
            found.append(TimelineEntry(at, "planned", (sentence,), name, about, channel, place=place))
    return found


async def _lines(
    session: AsyncSession, whom: Addressee, before: Place | None, source: int, limit: int
) -> list[TimelineEntry]:
    mine = _among(LedgerEntry.contact_id, whom.ids)
    return await _entries_of_lines(session, [mine], before, source, limit)


def _of_kind(
    session: AsyncSession, whom: Addressee, kind: type[MessageKind], before: Place | None, limit: int
) -> Callable[[int], Awaitable[Iterable[TimelineEntry]]]:
    """Lines that name nobody about messages of a kind that were written to an address before anybody had it."""

    async def read(source: int) -> Iterable[TimelineEntry]:
        theirs = kind.written_to(whom)
        if theirs is None or hasattr(kind.model, "contractor_id"):
            return []
        about = LedgerEntry.message_id.in_(select(kind.model.id).where(theirs))
        which = [LedgerEntry.kind == kind.name, about, LedgerEntry.contact_id.is_(None)]
        return await _entries_of_lines(session, which, before, source, limit)

    return read


async def _entries_of_lines(
    session: AsyncSession, which: Sequence[ColumnElement[bool]], before: Place | None, source: int, limit: int
) -> list[TimelineEntry]:
    lines = await session.scalars(
        select(LedgerEntry)
        .where(*which, *_earlier(LedgerEntry.at, LedgerEntry.id, before, source))
        .order_by(LedgerEntry.at.desc(), LedgerEntry.id.desc())
        .limit(limit + 1)
    )
    return [
        TimelineEntry(
            at=line.at,
            what=line.outcome,
            sentences=_said(line),
            message=f"{line.kind}-{line.message_id}",
            channel=line.channel,
            delivery_status=line.delivery_status,
            place=(line.at, source, line.id),
        )
        for line in lines
    ]


def _said(line: LedgerEntry) -> tuple[str, ...]:
    text = outcome_of(line)
    sentences = [text[:1].upper() + text[1:], *considered(line.inputs or {}, line.at)]
    if line.delivery_status and line.delivery_status != DeliveryStatus.SENT:
        error = f": {line.error}" if line.delivery_status == DeliveryStatus.FAILED and line.error else ""
        sentences.append(f"Its provider reported {line.delivery_status}{error}.")
    return tuple(sentences)


async def _replies(
    session: AsyncSession, whom: Addressee, before: Place | None, source: int, limit: int
) -> list[TimelineEntry]:
    return await _entries_of_replies(session, [_among(StoredReply.contact_id, whom.ids)], before, source, limit)


async def _strangers_replies(
    session: AsyncSession, whom: Addressee, before: Place | None, source: int, limit: int
) -> list[TimelineEntry]:
    """What was answered from an address before anybody had it."""
    which = [StoredReply.sender.in_(whom.addresses), StoredReply.contact_id.is_(None)]
    return await _entries_of_replies(session, which, before, source, limit)


async def _entries_of_replies(
    session: AsyncSession, which: Sequence[ColumnElement[bool]], before: Place | None, source: int, limit: int
) -> list[TimelineEntry]:
    rows = await session.scalars(
        select(StoredReply)
        .where(*which, *_earlier(StoredReply.received_at, StoredReply.id, before, source))
        .order_by(StoredReply.received_at.desc(), StoredReply.id.desc())
        .limit(limit + 1)
    )
    return [
        TimelineEntry(
            at=row.received_at,
            what="reply",
            sentences=(f"They replied {row.text!r}: {(row.action_taken or 'noted').replace('_', ' ')}.",),
            message=f"{row.kind}-{row.message_id}" if row.kind else None,
            place=(row.received_at, source, row.id),
        )
        for row in rows
    ]


def _heard(
    session: AsyncSession, whom: Addressee, kind: type[MessageKind], before: Place | None, limit: int
) -> Callable[[int], Awaitable[Iterable[TimelineEntry]]]:
    async def read(source: int) -> Iterable[TimelineEntry]:
        if (query := kind.heard_from(whom)) is None:
            return []
        row_id, at, _ = query.selected_columns
        earlier = query.where(*_earlier(at, row_id, before, source))
        rows = await session.execute(earlier.order_by(at.desc(), row_id.desc()).limit(limit + 1))
        return [
            TimelineEntry(moment, "chat", (f"They wrote {text!r}.",), kind.job_id(one), place=(moment, source, one))
            for one, moment, text in rows
        ]

    return read


async def _opt_outs(session: AsyncSession, whom: Addressee, source: int) -> list[TimelineEntry]:
    found: list[TimelineEntry] = []
    rows = {row.id: row for one in whom.ids for row in await history_of(session, one, whom.addresses)}
    for row in rows.values():
        words = f", in the words {row.words!r}" if row.words else ""
        said = f"{row.address} opted out ({row.source}){words}."
        found.append(
            TimelineEntry(row.opted_out_at, "opted_out", (said,), place=(row.opted_out_at, source, row.id * 2))
        )
        if row.ended_at is not None:
            said = f"{row.address} opted in again."
            found.append(
                TimelineEntry(row.ended_at, "opted_in", (said,), place=(row.ended_at, source, row.id * 2 + 1))
            )
    return found


async def _consents(session: AsyncSession, whom: Addressee, source: int) -> list[TimelineEntry]:
    return [
        TimelineEntry(
            at=row.at,
            what="consent",
            sentences=(f"They {'consented' if row.granted else 'took consent back'} ({row.source}).",),
            channel=row.channel,
            place=(row.at, source, row.id),
        )
        for one in whom.ids
        for row in await consents_of(session, one)
    ]  # fmt: skip


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


def _among(column: Any, ids: Sequence[int]) -> ColumnElement[bool]:
    """One id is compared, so that the index gives the rows in order."""
    found: ColumnElement[bool] = column == ids[0] if len(ids) == 1 else column.in_(ids)
    return found
