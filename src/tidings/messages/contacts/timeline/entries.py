"""What a person's timeline is made of: each source gives its entries from a moment backwards, found by an index."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from tidings.messages.gate.consents import consents_of
from tidings.messages.gate.opt_outs import OptOut, Stops, history_of, in_words
from tidings.messages.inbound.stored import StoredReply
from tidings.messages.kind import Addressee, MessageKind, due_time
from tidings.messages.ledger import DeliveryStatus, LedgerEntry
from tidings.messages.statuses import OPEN, Status
from tidings.messages.why import considered, outcome_of, summary_of

PLANNED = 1000
"""Messages that are still to go out of which a timeline knows, at most, of each kind."""

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Place = tuple[datetime, int, int]
"""Where an entry stands: its moment, the number of its source, and its row's id."""

Kinds = Sequence[type[MessageKind]]


@dataclass(frozen=True, slots=True)
class TimelineEntry:
    """One thing that happened, or is to happen, at a moment (UTC).

    `what` is planned, sent, unknown, retry, deferred, skipped, failed, cancelled, again, in_doubt, reply, chat,
    opted_out, unsure, opted_in, or consent. `message` names the message (`event-message-123`), `about` says what that
    is. `sentences` tell what happened and why; `delivery_status` is its provider's last word.
    """

    at: datetime
    what: str
    sentences: tuple[str, ...]
    message: str | None = None
    about: str | None = None
    channel: str | None = None
    delivery_status: str | None = None
    place: Place = field(default=(EPOCH, 0, 0), repr=False)


def _among(column: Any, ids: Sequence[int]) -> ColumnElement[bool]:
    """One id is compared, so that the index gives the rows in order."""
    found: ColumnElement[bool] = column == ids[0] if len(ids) == 1 else column.in_(ids)
    return found


def _earlier(at: Any, row_id: Any, before: Place | None, source: int) -> list[ColumnElement[bool]]:
    """What a source's rows have to be to stand behind a place."""
    if before is None:
        return []
    moment, number, last = before
    if source == number:
        return [at <= moment, or_(at < moment, and_(at == moment, row_id < last))]
    return [at <= moment] if source < number else [at < moment]


async def planned(session: AsyncSession, whom: Addressee, kinds: Kinds, source: int) -> list[TimelineEntry]:
    """What is still to go out, by when it is due."""
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


async def lines_about(
    session: AsyncSession, whom: Addressee, before: Place | None, source: int, limit: int
) -> list[TimelineEntry]:
    """What the ledger's lines say of the person: attempts and decisions of every kind."""
    mine = _among(LedgerEntry.contact_id, whom.ids)
    return await _entries_of_lines(session, [mine], before, source, limit)


def lines_to_nobody(
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


async def replies_of(
    session: AsyncSession, whom: Addressee, before: Place | None, source: int, limit: int
) -> list[TimelineEntry]:
    """What they answered."""
    return await _entries_of_replies(session, [_among(StoredReply.contact_id, whom.ids)], before, source, limit)


async def replies_of_strangers(
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


def heard(
    session: AsyncSession, whom: Addressee, kind: type[MessageKind], before: Place | None, limit: int
) -> Callable[[int], Awaitable[Iterable[TimelineEntry]]]:
    """What they wrote in a kind's own table, as in chats."""

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


async def opt_outs_of(session: AsyncSession, whom: Addressee, source: int) -> list[TimelineEntry]:
    """Their opt-outs, and the ends of those."""
    found: list[TimelineEntry] = []
    rows = {row.id: row for one in whom.ids for row in await history_of(session, one, whom.addresses)}
    for row in rows.values():
        words = f", in the words {row.words!r}" if row.words else ""
        said = f"{row.address} {in_words(row.stops, row.channel, row.tenant)} ({row.source}){words}."
        found.append(
            TimelineEntry(row.opted_out_at, _what(row), (said,), place=(row.opted_out_at, source, row.id * 2))
        )
        if row.ended_at is not None:
            said = f"{row.address} no longer {in_words(row.stops, row.channel, row.tenant)}."
            found.append(
                TimelineEntry(row.ended_at, "opted_in", (said,), place=(row.ended_at, source, row.id * 2 + 1))
            )
    return found


def _what(row: OptOut) -> str:
    return "unsure" if row.stops == Stops.UNSURE else "opted_out"


async def consents_to(session: AsyncSession, whom: Addressee, source: int) -> list[TimelineEntry]:
    """Their consents, given and taken back."""
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
