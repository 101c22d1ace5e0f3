"""Approvals: messages that go only when a person agrees to them."""

from __future__ import annotations

from typing import Any

from tidings.errors import Conflict
from tidings.feature import parse
from tidings.features.proactive import views
from tidings.features.proactive.changes import end, release
from tidings.features.proactive.lookup import find_message
from tidings.features.proactive.models import Approval, ProactiveMessage
from tidings.features.proactive.schemas import ApprovalIn, RejectionIn
from tidings.messages.changes import state_of
from tidings.messages.statuses import Reason, Status
from tidings.work import Work


class Approvals:
    """The verbs of approvals. With `deliver_now` an approved message is scheduled at once."""

    def __init__(self, work: Work, *, deliver_now: bool) -> None:
        self._work = work
        self._deliver_now = deliver_now

    async def approve(self, message_id: int, by: str) -> ProactiveMessage:
        """Lets a message go that needs approval; it then goes whatever the contact's trust. Twice is harmless.

        Raises InvalidInput, NotFound, and Conflict when it needs no approval or its time for it is over.
        """
        wanted, now = parse(ApprovalIn, {"by": by}), self._work.clock.now()
        async with self._work.begin() as unit:
            row = await find_message(unit.session, message_id, lock=True)
            if row.approval == Approval.APPROVED:
                return row
            _require_approvable(row, "approved")
            if row.approval_until is not None and row.approval_until <= now:
                raise Conflict(f"message {row.id} could be approved until {row.approval_until:%F %R} UTC")
            row.approval, row.decided_by, row.decided_at, row.updated_at = Approval.APPROVED, wanted.by, now, now
            if self._deliver_now:
                release(unit, [row], now)
            return row

    async def reject(self, message_id: int, by: str, why: str | None = None) -> ProactiveMessage:
        """Skips a message that needs approval. Twice is harmless.

        Raises InvalidInput, NotFound, and Conflict when it does not wait for approval.
        """
        wanted, now = parse(RejectionIn, {"by": by, "why": why}), self._work.clock.now()
        async with self._work.begin() as unit:
            row = await find_message(unit.session, message_id, lock=True)
            if row.approval == Approval.REJECTED:
                return row
            _require_approvable(row, "rejected")
            row.approval, row.decided_by, row.decided_at = Approval.REJECTED, wanted.by, now
            row.decision_note = wanted.why
            await end(unit, [row], Status.SKIPPED, Reason.REJECTED, now)
            return row

    async def waiting(self, *, after_id: int = 0, limit: int = 100) -> list[dict[str, Any]]:
        """Messages that a person may still approve, the oldest first."""
        now = self._work.clock.now()
        in_time = (ProactiveMessage.approval_until > now, ProactiveMessage.useful_until > now)
        async with self._work.read() as session:
            return await views.page(session, (*views.AWAITS_APPROVAL, *in_time), after_id, limit)


def _require_approvable(row: ProactiveMessage, verb: str) -> None:
    if row.status != Status.WAITING:
        raise Conflict(f"message {row.id} {state_of(row)} and cannot be {verb}")
    if row.approval != Approval.PENDING:
        raise Conflict(f"message {row.id} needs no approval (it is {row.approval}) and cannot be {verb}")
