"""The one door for delivery reports, from whatever provider: row and ledger move together."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, select
from sqlalchemy.ext.asyncio import AsyncSession

from tidings.errors import InvalidInput, NotFound
from tidings.messages.changes import decision
from tidings.messages.kind import Kinds, Report, require_name
from tidings.messages.ledger import AT_PROVIDER, DeliveryStatus, LedgerEntry, Outcome, write_lines
from tidings.messages.statuses import Status
from tidings.work import Unit, Work

UNRECORDED = (0.05, 0.2, 0.5, 1.0)
"""Seconds between the looks for a message whose delivery report has come."""

UNDECIDED = 1.0
"""Seconds between further looks, while the message is being sent: the answer of its provider may be lost."""

_LEFT = (DeliveryStatus.SENT, DeliveryStatus.DELIVERED, DeliveryStatus.READ)
_MOMENTS = {"sent_at", "actual_send_time"}
"""Columns in which kinds keep when a message left."""

UNDELIVERED = "the provider reported that it was not delivered"


@dataclass(frozen=True, slots=True)
class StatusUpdate:
    """A delivery report. The message is named by the provider's id, or by ours: `event-message-123`, or the
    idempotency key that begins so. Ours may also come in the place of the provider's.

    `tenant` is whose door it came in by: then it is about that tenant's messages only. None: a shared one.
    """

    status: DeliveryStatus
    provider_message_id: str | None = None
    message: str | None = None
    at: datetime | None = None
    error: str | None = None
    tenant: str | None = None

    @property
    def named(self) -> str | None:
        """Our name of the message, wherever it stands. Raises InvalidInput for a `message` that is none."""
        if self.message and (own := own_name(self.message)) is None:
            require_name(self.message)
        return own if self.message else own_name(self.provider_message_id or "")


def own_name(text: str) -> str | None:
    """The message's name in a name or an idempotency key of ours, in whatever letters; None for another's id."""
    found = _OWN.fullmatch(text.strip().lower())
    return found["name"] if found else None


_OWN = re.compile(r"(?P<name>[a-z][a-z-]*-\d{1,18})(?:-\d{1,20})?")


class DeliveryReports:
    """Takes delivery reports about messages of `kinds`. A status only moves upward, and a failure is final.

    A message whose outcome is unknown is settled by the first report about it: it was sent, or has failed. One that
    failed here was sent after all when a report by our name says so.
    """

    def __init__(self, work: Work, kinds: Kinds) -> None:
        self._work = work
        self._kinds = kinds

    async def receive(self, update: StatusUpdate) -> bool:
        """Moves a sent message's delivery status upward; False when the report brings nothing newer.

        Raises NotFound when no such message has left, and InvalidInput when the report names none.
        """
        for pause in UNRECORDED:
            try:
                return await self._take(update)
            except NotFound:
                await asyncio.sleep(pause)  # a quick provider may report before the sending is recorded
        while await self._is_being_sent(update):  # noqa: ASYNC110  # maybe by another process
            await asyncio.sleep(UNDECIDED)
        return await self._take(update)

    async def move(
        self,
        unit: Unit,
        kind: str,
        message_id: int,
        status: DeliveryStatus,
        *,
        at: datetime | None = None,
        error: str | None = None,
    ) -> bool:
        """Moves the status of a message that the caller has found, in the caller's unit; False when it is not news.

        `at` (aware) is when it happened, by default and at the latest now. The row is locked before its line.
        """
        now = self._work.clock.now()
        report = Report(
            status,
            min(at or now, now).astimezone(UTC),
            (error or UNDELIVERED) if status is DeliveryStatus.FAILED else None,
        )
        lines = _lines_of(kind, message_id)
        seen = await unit.session.scalar(lines)
        row = await self._undecided(unit, seen) if seen is not None and status is not DeliveryStatus.PENDING else None
        moved = await self._kinds[kind].on_report(unit, message_id, report) if kind in self._kinds else False
        if row is not None:
            _settle(row, report, now)
            await unit.session.flush()
        line = await unit.session.scalar(lines.with_for_update().execution_options(populate_existing=True))
        if line is None:
            return moved
        first = DeliveryStatus.SENT if line.outcome == Outcome.SENT else DeliveryStatus.PENDING
        if DeliveryStatus(line.delivery_status or first) not in status.follows():
            return moved
        line.delivery_status, line.delivery_status_at = status, report.at
        if line.outcome == Outcome.SENT:  # of the other ones it says why nobody knew
            line.error = report.error or line.error
        return True

    async def settle(self, unit: Unit, kind: str, row: Any) -> None:
        """Notes that a locked row, whose outcome was unknown, was sent, as somebody says."""
        report = Report(DeliveryStatus.SENT, self._work.clock.now())
        await self._kinds[kind].on_report(unit, row.id, report)
        _settle(row, report, report.at)
        await unit.session.flush()

    async def _undecided(self, unit: Unit, line: LedgerEntry) -> Any:
        """The row of the message that a line is about, locked, when nobody knows yet whether it has left."""
        if line.outcome != Outcome.UNKNOWN or line.kind not in self._kinds:
            return None
        model = self._kinds[line.kind].model
        row = await unit.session.get(model, line.message_id, with_for_update=True, populate_existing=True)
        return row if row is not None and row.status == Status.UNKNOWN else None

    async def _is_being_sent(self, update: StatusUpdate) -> bool:
        """Whether the message that a report names by our name is in somebody's hands."""
        kind, message_id = require_name(update.named) if update.named else ("", 0)
        if kind not in self._kinds:
            return False
        async with self._work.read() as session:
            row = await session.get(self._kinds[kind].model, message_id)
        lease = row.held_until if row is not None and row.status == Status.SENDING else None
        return lease is not None and lease > self._work.clock.now()

    async def _take(self, update: StatusUpdate) -> bool:
        async with self._work.begin() as unit:
            try:
                kind, message_id = await _named(unit.session, update)
            except NotFound:
                if not await self._left_after_all(unit, update):
                    raise
                return True
            return await self.move(unit, kind, message_id, update.status, at=update.at, error=update.error)

    async def _left_after_all(self, unit: Unit, update: StatusUpdate) -> bool:
        """Whether a report says that a message which we gave up has left, by whatever way; then it was sent."""
        name, message_id = require_name(update.named) if update.named else ("", 0)
        if name not in self._kinds or update.status not in _LEFT:
            return False
        kind = self._kinds[name]
        row = await unit.session.get(kind.model, message_id, with_for_update=True, populate_existing=True)
        if row is None or row.status != Status.FAILED or update.tenant not in (None, kind.tenant_of(row)):
            return False
        now = self._work.clock.now()
        report = Report(update.status, min(update.at or now, now).astimezone(UTC))
        await kind.on_report(unit, row.id, report)
        _settle(row, report, now)
        for column in _MOMENTS.intersection(kind.model.__table__.columns.keys()):
            setattr(row, column, getattr(row, column) or report.at)
        await unit.session.flush()
        line = decision(
            kind,
            row,
            Outcome.SENT,
            None,
            now,
            provider_message_id=update.provider_message_id,
            delivery_status=update.status,
            delivery_status_at=report.at,
        )
        await write_lines(unit.session, [line])
        return True


def _settle(row: Any, report: Report, now: datetime) -> None:
    """A message whose outcome was unknown has left after all, or has failed."""
    failed = report.status is DeliveryStatus.FAILED
    row.status, row.error_message = (Status.FAILED, report.error) if failed else (Status.SENT, None)
    row.updated_at = now


def _lines_of(kind: str, message_id: int) -> Select[LedgerEntry]:
    """The latest line that says that a message was handed over."""
    return (
        select(LedgerEntry)
        .where(LedgerEntry.kind == kind, LedgerEntry.message_id == message_id, LedgerEntry.outcome.in_(AT_PROVIDER))
        .order_by(LedgerEntry.id.desc())
        .limit(1)
    )


async def _named(session: AsyncSession, update: StatusUpdate) -> tuple[str, int]:
    """The sent message that a report is about: ours by name, else the latest with the provider's id.

    A report may name it both ways, since the provider may have given no id at first. Raises NotFound, and
    InvalidInput when the report names none.
    """
    names: list[ColumnElement[bool]] = []
    if update.named:
        kind, message_id = require_name(update.named)
        names.append(and_(LedgerEntry.kind == kind, LedgerEntry.message_id == message_id))
    if update.provider_message_id:
        names.append(LedgerEntry.provider_message_id == update.provider_message_id)
    if not names:
        sentence = "is missing; name the provider's id, or ours as `message`, like event-message-123"
        raise InvalidInput("provider_message_id", sentence)
    sent = select(LedgerEntry.kind, LedgerEntry.message_id).where(LedgerEntry.outcome.in_(AT_PROVIDER))
    if update.tenant is not None:
        sent = sent.where(LedgerEntry.tenant == update.tenant)
    for name in names:
        found = (await session.execute(sent.where(name).order_by(LedgerEntry.id.desc()).limit(1))).one_or_none()
        if found is not None:
            return found.kind, found.message_id
    raise NotFound("sent message", update.provider_message_id or update.message)
