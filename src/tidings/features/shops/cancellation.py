"""Calling off messages that have not gone out, with the reason in the ledger."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ColumnElement, select, update

from tidings.features.shops.jobs import DELIVERY
from tidings.features.shops.kind import CHANNEL, KIND, alarm_id
from tidings.features.shops.models import WAITING, ShopMessage
from tidings.messages.ledger import Outcome, write_lines
from tidings.messages.statuses import Reason, Status
from tidings.work import Unit

_CHUNK = 1000


async def cancel_messages(unit: Unit, which: ColumnElement[bool], reason: Reason, now: datetime) -> int:
    """Cancels those of the messages that no worker has in its hands, released or not; returns how many."""
    cancelled = 0
    for status in (Status.SCHEDULED, WAITING):
        while True:
            found = (
                select(ShopMessage.id)
                .where(which, ShopMessage.status == status)
                .order_by(ShopMessage.id)  # everybody locks in the same order
                .limit(_CHUNK)
                .with_for_update()
            )
            rows = (
                await unit.session.execute(
                    update(ShopMessage)
                    .where(ShopMessage.id.in_(found))
                    .values(status=Status.CANCELLED, status_reason=reason, held_until=None, updated_at=now)
                    .returning(ShopMessage.id, ShopMessage.contractor_id, ShopMessage.request_id)
                    .execution_options(synchronize_session=False)
                )
            ).all()
            cancelled += len(rows)
            if status == Status.SCHEDULED:
                for row in rows:
                    unit.disarm(DELIVERY.name, alarm_id(row.id))
            await write_lines(
                unit.session,
                [
                    {
                        "at": now,
                        "kind": KIND,
                        "message_id": row.id,
                        "contact_id": row.contractor_id,
                        "outcome": Outcome.CANCELLED,
                        "reason": reason,
                        "channel": CHANNEL,
                        "request_id": row.request_id,
                    }
                    for row in rows
                ],
            )
            if len(rows) < _CHUNK:
                break
    return cancelled
