"""The verbs of the proactive messages. Each changes rows and queue together, in one unit of work."""

from __future__ import annotations

from typing import Any

from tidings.features.proactive import views
from tidings.features.proactive.approvals import Approvals
from tidings.features.proactive.changes import end
from tidings.features.proactive.cycle import end_overdue, schedule_waiting
from tidings.features.proactive.evaluation import Evaluation, EvaluationResult
from tidings.features.proactive.goals import Goals
from tidings.features.proactive.jobs import PROACTIVE_MESSAGES
from tidings.features.proactive.kind import ProactiveMessages
from tidings.features.proactive.lookup import find_message
from tidings.features.proactive.models import ProactiveMessage
from tidings.features.proactive.schemas import ProactiveStats
from tidings.features.proactive.silence import count_silence
from tidings.log import get_logger
from tidings.messages.changes import refuse
from tidings.messages.statuses import LEFT, Reason, Status
from tidings.work import Work

log = get_logger(__name__)


class Proactive:
    """Proactive messages for other programs: `t.proactive` of the facade, and what the HTTP routes call.

    `goals` are what contacts want to reach, `approvals` the messages that a person has to agree to. `evaluation` is
    how messages are made. With `deliver_now` a message is scheduled as soon as it is written and, where that is
    needed, approved; otherwise the next delivery cycle takes it.
    """

    def __init__(self, work: Work, evaluation: Evaluation, *, deliver_now: bool) -> None:
        self._work = work
        self.evaluation = evaluation
        self.goals = Goals(work)
        self.approvals = Approvals(work, deliver_now=deliver_now)

    async def evaluate_proactive_triggers(self) -> EvaluationResult:
        """Ends what is overdue, counts silence, and makes the messages that contacts' states call for.

        Running it twice, or twice at once, makes every message once.
        """
        unapproved, stale = await end_overdue(self._work)
        silent = await count_silence(self._work)
        result = await self.evaluation.run()
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
            return await views.page(session, conditions, after_id, limit)

    async def get_message(self, message_id: int) -> ProactiveMessage:
        """One stored message. Raises NotFound."""
        async with self._work.read() as session:
            return await find_message(session, message_id)

    async def cancel(self, message_id: int) -> ProactiveMessage:
        """Cancels a message that has not gone out. Cancelling it again is harmless.

        Raises NotFound, and Conflict when it was sent, skipped, has failed or is being sent right now.
        """
        async with self._work.begin() as unit:
            row = await find_message(unit.session, message_id, lock=True)
            if row.status == Status.CANCELLED:
                return row
            refuse(ProactiveMessages, row, "cancelled", *LEFT, Status.SKIPPED, Status.FAILED, Status.SENDING)
            await end(unit, [row], Status.CANCELLED, Reason.BY_REQUEST, self._work.clock.now())
            return row

    async def get_stats(self) -> ProactiveStats:
        """How many messages stand where, of every trigger and in all, and what the delivery queue holds."""
        async with self._work.read() as session:
            counts = await views.count_by_type(session)
        queue = (await self._work.queues.stats(PROACTIVE_MESSAGES.name)).as_dict()
        return ProactiveStats(**views.total(list(counts.values())), by_trigger=counts, queue=queue)
