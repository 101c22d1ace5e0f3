"""The verbs of the proactive messages. Each changes rows and queue together, in one unit of work."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tidings.ai.base import Writer
from tidings.errors import Conflict
from tidings.feature import Moments, parse
from tidings.features.proactive import views as listing
from tidings.features.proactive.changes import end, find_message, release
from tidings.features.proactive.cycle import end_overdue, schedule_waiting
from tidings.features.proactive.discovery import Trigger, find_triggers
from tidings.features.proactive.drafts import Maker
from tidings.features.proactive.evaluation import Evaluation, EvaluationResult
from tidings.features.proactive.goals import Goals
from tidings.features.proactive.jobs import PROACTIVE_MESSAGES
from tidings.features.proactive.models import WAITING, Approval, ProactiveMessage
from tidings.features.proactive.safeguards import Safeguards
from tidings.features.proactive.schemas import ApprovalIn, ProactiveStats, RejectionIn
from tidings.features.proactive.silence import count_silence
from tidings.log import get_logger
from tidings.messages.statuses import Reason, Status
from tidings.work import Work

log = get_logger(__name__)


class Proactive(Goals):
    """Proactive messages for other programs: `t.proactive` of the facade, and what the HTTP routes call.

    `timezone` is that of contacts whose own is not known; `moments` are what other features tell about
    contacts; `triggers` are by default those of this package. With `deliver_now` a message is scheduled as soon
    as it is written and, where that is needed, approved; otherwise the next delivery cycle takes it.
    `max_segments` is how many SMS one text may take.
    """

    def __init__(
        self,
        work: Work,
        writer: Writer,
        *,
        timezone: str,
        moments: Sequence[Moments] = (),
        triggers: Sequence[Trigger] | None = None,
        safeguards: Safeguards | None = None,
        deliver_now: bool = False,
        max_segments: int = 3,
    ) -> None:
        super().__init__(work)
        self._deliver_now = deliver_now
        limits = safeguards or Safeguards()
        self._evaluation = Evaluation(
            work=work,
            maker=Maker(work, writer, limits, deliver_now, max_segments),
            triggers=find_triggers() if triggers is None else triggers,
            moments=moments,
            timezone=timezone,
            safeguards=limits,
        )

    async def evaluate_proactive_triggers(self) -> EvaluationResult:
        """Ends what is overdue, counts silence, and makes the messages that contacts' states call for.

        Running it twice, or twice at once, makes every message once.
        """
        unapproved, stale = await end_overdue(self._work)
        silent = await count_silence(self._work)
        result = await self._evaluation.run()
        result.not_approved, result.stale, result.silent = unapproved, stale, silent
        log.info("triggers evaluated", **result.as_dict())
        return result

    async def deliver_waiting(self) -> list[ProactiveMessage]:
        """One delivery cycle: schedules up to 20 waiting messages, the oldest first, two seconds apart."""
        await end_overdue(self._work)
        return await schedule_waiting(self._work)

    async def list_messages(
        self,
        *,
        contractor_id: int | None = None,
        message_type: str | None = None,
        status: str | None = None,
        after_id: int = 0,
        limit: int = 100,
    ) -> list[dict[str, Any]]:
        """Messages in order of id, from the one after `after_id`, with the names of their contacts."""
        wanted = {"contractor_id": contractor_id, "message_type": message_type, "status": status}
        conditions = [getattr(ProactiveMessage, name) == value for name, value in wanted.items() if value is not None]
        async with self._work.read() as session:
            return await listing.page(session, conditions, after_id, limit)

    async def list_approvals(self, *, after_id: int = 0, limit: int = 100) -> list[dict[str, Any]]:
        """Messages that a person may still approve, the oldest first."""
        now = self._work.clock.now()
        in_time = (ProactiveMessage.approval_until > now, ProactiveMessage.useful_until > now)
        async with self._work.read() as session:
            return await listing.page(session, (*listing.AWAITS_APPROVAL, *in_time), after_id, limit)

    async def get_message(self, message_id: int) -> ProactiveMessage:
        """One stored message. Raises NotFound."""
        async with self._work.read() as session:
            return await find_message(session, message_id)

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

    async def cancel(self, message_id: int) -> ProactiveMessage:
        """Cancels a message that has not gone out. Cancelling it again is harmless.

        Raises NotFound, and Conflict when it was sent, skipped, has failed or is being sent right now.
        """
        async with self._work.begin() as unit:
            row = await find_message(unit.session, message_id, lock=True)
            if row.status == Status.CANCELLED:
                return row
            if row.status not in (WAITING, Status.SCHEDULED):
                raise Conflict(f"message {row.id} {_state_of(row)} and cannot be cancelled")
            await end(unit, [row], Status.CANCELLED, Reason.BY_REQUEST, self._work.clock.now())
            return row

    async def get_stats(self) -> ProactiveStats:
        """How many messages stand where, of every trigger and in all, and what the delivery queue holds."""
        async with self._work.read() as session:
            counts = await listing.count_by_type(session)
        queue = (await self._work.queues.stats(PROACTIVE_MESSAGES.name)).as_dict()
        return ProactiveStats(**listing.total(list(counts.values())), by_trigger=counts, queue=queue)


def _require_approvable(row: ProactiveMessage, verb: str) -> None:
    if row.status != WAITING:
        raise Conflict(f"message {row.id} {_state_of(row)} and cannot be {verb}")
    if row.approval != Approval.PENDING:
        raise Conflict(f"message {row.id} needs no approval (it is {row.approval}) and cannot be {verb}")


def _state_of(row: ProactiveMessage) -> str:
    return "is being sent right now" if row.status == Status.SENDING else f"is {row.status} already"
