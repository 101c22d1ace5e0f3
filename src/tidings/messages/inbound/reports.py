"""The one door for delivery reports, from whatever provider: row and ledger move together."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import ColumnElement, and_, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from tidings.errors import InvalidInput, NotFound
from tidings.messages.kind import Kinds, Report, require_name
from tidings.messages.ledger import DeliveryStatus, LedgerEntry, Outcome
from tidings.work import Unit, Work

UNRECORDED = (0.05, 0.2, 0.5, 1.0)
"""Seconds between the looks for a message whose delivery report has come."""

UNDELIVERED = "the provider reported that it was not delivered"


@dataclass(frozen=True, slots=True)
class StatusUpdate:
    """A delivery report. The message is named by the provider's id, or by ours (`event-message-123`)."""

    status: DeliveryStatus
    provider_message_id: str | None = None
    message: str | None = None
    at: datetime | None = None
    error: str | None = None


class DeliveryReports:
    """Takes delivery reports about messages of `kinds`. A status only moves upward, and a failure is final."""

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
        moved = await self._kinds[kind].on_report(unit, message_id, report) if kind in self._kinds else False
        line = await unit.session.scalar(
            select(LedgerEntry)
            .where(
                LedgerEntry.kind == kind, LedgerEntry.message_id == message_id, LedgerEntry.outcome == Outcome.SENT
            )
            .order_by(LedgerEntry.id.desc())
            .limit(1)
            .with_for_update()
            .execution_options(populate_existing=True)
        )
        if line is None or DeliveryStatus(line.delivery_status or DeliveryStatus.SENT) not in status.follows():
            return moved
        line.delivery_status, line.delivery_status_at = status, report.at
        line.error = report.error or line.error
        return True

    async def _take(self, update: StatusUpdate) -> bool:
        async with self._work.begin() as unit:
            kind, message_id = await _named(unit.session, update)
            return await self.move(unit, kind, message_id, update.status, at=update.at, error=update.error)


async def _named(session: AsyncSession, update: StatusUpdate) -> tuple[str, int]:
    """The sent message that a report is about. Raises NotFound, and InvalidInput when the report names none."""
    names: list[ColumnElement[bool]] = []  # one may know the message where the provider gave no id at first
    if update.provider_message_id:
        names.append(LedgerEntry.provider_message_id == update.provider_message_id)
    if update.message:
        kind, message_id = require_name(update.message)
        names.append(and_(LedgerEntry.kind == kind, LedgerEntry.message_id == message_id))
    if not names:
        sentence = "is missing; name the provider's id, or ours as `message`, like event-message-123"
        raise InvalidInput("provider_message_id", sentence)
    query = select(LedgerEntry.kind, LedgerEntry.message_id).where(LedgerEntry.outcome == Outcome.SENT, or_(*names))
    found = (await session.execute(query.order_by(LedgerEntry.id.desc()).limit(1))).one_or_none()
    if found is None:
        raise NotFound("sent message", update.provider_message_id or update.message)
    return found.kind, found.message_id
