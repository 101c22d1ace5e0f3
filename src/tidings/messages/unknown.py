"""Messages whose outcome nobody knows: which they are, and how a person settles one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from tidings.clock import to_milliseconds
from tidings.errors import Conflict, NotFound
from tidings.log import get_logger
from tidings.messages.changes import decision, revive, state_of
from tidings.messages.inbound.reports import DeliveryReports
from tidings.messages.kind import MessageKind, require_name
from tidings.messages.ledger import DeliveryStatus, LedgerEntry, Outcome, write_lines
from tidings.messages.statuses import Reason, Status
from tidings.work import Work

log = get_logger(__name__)

PAGE = 500
"""Lines of the ledger that are read at once."""

_IS_UNKNOWN = text("deliveries.outcome = 'unknown'")  # written out, so that its index is found


class Settlement(StrEnum):
    """How a person settles it: the message was `sent`, or it is to be sent `again`."""

    SENT = "sent"
    AGAIN = "again"


@dataclass(frozen=True, slots=True)
class UnknownMessage:
    """A message that may have left. `id` is its line in the ledger, `at` (UTC) when no answer had come."""

    id: int
    message: str
    at: datetime
    contact_id: int | None
    channel: str | None
    provider: str | None
    error: str | None


class UnknownOutcomes:
    """Looks after messages of `kinds` that were handed over and have no answer.

    `reports` knows what follows when one turns out to have been sent.
    """

    def __init__(
        self, work: Work, kinds: Callable[[], Iterable[type[MessageKind]]], reports: Callable[[], DeliveryReports]
    ) -> None:
        self._work = work
        self._kinds = kinds
        self._reports = reports

    async def list_messages(self, *, after_id: int = 0, limit: int = 100) -> list[UnknownMessage]:
        """Those that wait to be settled, in order of `id`, from the one after `after_id`."""
        found: list[UnknownMessage] = []
        async with self._work.read() as session:
            while len(found) < limit:
                lines = await _latest_lines(session, after_id)
                found += await self._undecided(session, lines)
                if len(lines) < PAGE:
                    break
                after_id = lines[-1].id
        return found[:limit]

    async def settle(self, name: str, settlement: Settlement) -> Status:
        """Notes that a message was sent, or has it sent again at once: with fresh attempts, under the same key.

        Returns its new status. Raises InvalidInput, NotFound, and Conflict when its outcome is not unknown.
        """
        kind, message_id = self._kind_of(name)
        now = self._work.clock.now()
        async with self._work.begin() as unit:
            row = await unit.session.get(kind.model, message_id, with_for_update=True)
            if row is None:
                raise NotFound(kind.noun, message_id)
            if row.status != Status.UNKNOWN:
                raise Conflict(f"{kind.noun} {message_id} {state_of(row)}; only an unknown outcome can be settled")
            if settlement is Settlement.SENT:
                await self._reports().settle(unit, kind.name, row)
                outcome, delivered = Outcome.SENT, DeliveryStatus.SENT
            else:
                row.scheduled_time = to_milliseconds(now)
                revive(unit, kind, row, now)
                outcome, delivered = Outcome.AGAIN, None
            await unit.session.flush()
            line = decision(kind, row, outcome, Reason.BY_REQUEST, now, delivery_status=delivered)
            await write_lines(unit.session, [line])
            status = Status(row.status)
        log.info("unknown outcome settled", message=name, settled_as=settlement.value)
        return status

    def _kind_of(self, name: str) -> tuple[type[MessageKind], int]:
        kind, message_id = require_name(name)
        for one in self._kinds():
            if one.name == kind:
                return one, message_id
        raise NotFound("kind of message", kind)

    async def _undecided(self, session: AsyncSession, lines: Sequence[LedgerEntry]) -> list[UnknownMessage]:
        """Those of the messages that nobody has settled yet."""
        waiting: set[tuple[str, int]] = set()
        for kind in self._kinds():
            ids = [line.message_id for line in lines if line.kind == kind.name]
            model: Any = kind.model
            if ids:
                still = await session.scalars(
                    select(model.id).where(model.id.in_(ids), model.status == Status.UNKNOWN)
                )
                waiting |= {(kind.name, one) for one in still}
        return [_shown(line) for line in lines if (line.kind, line.message_id) in waiting]


async def _latest_lines(session: AsyncSession, after_id: int) -> Sequence[LedgerEntry]:
    """The latest line about each message that ever had an unknown outcome; those are few."""
    latest = select(func.max(LedgerEntry.id)).where(_IS_UNKNOWN).group_by(LedgerEntry.kind, LedgerEntry.message_id)
    query = select(LedgerEntry).where(LedgerEntry.id.in_(latest), LedgerEntry.id > after_id)
    return (await session.scalars(query.order_by(LedgerEntry.id).limit(PAGE))).all()


def _shown(line: LedgerEntry) -> UnknownMessage:
    name = f"{line.kind}-{line.message_id}"
    return UnknownMessage(line.id, name, line.at, line.contact_id, line.channel, line.provider, line.error)
