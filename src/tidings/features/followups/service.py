"""The verbs of the follow-ups. Each changes rows and queue together, in one unit of work."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from tidings.ai.base import Draft
from tidings.clock import to_milliseconds
from tidings.errors import Conflict, NotFound
from tidings.feature import parse
from tidings.features.followups.action_items import ActionItems
from tidings.features.followups.drafts import DraftWriter
from tidings.features.followups.experiments import Experiments
from tidings.features.followups.figures import Figures
from tidings.features.followups.jobs import CONTRACTOR_FOLLOWUPS
from tidings.features.followups.kind import LOADED, FollowUpMessages
from tidings.features.followups.models import FollowUp
from tidings.features.followups.queries import due_by, find_follow_up, follow_ups_of, next_to_go
from tidings.features.followups.replies import OPTED_OUT, add_reply
from tidings.features.followups.schedule import add_follow_up
from tidings.features.followups.schemas import FollowUpIn, ResponseIn, SchedulerStats, SentIn
from tidings.features.followups.series import schedule_next
from tidings.features.followups.vips import set_vip
from tidings.features.followups.zones import zones_of_follow_ups
from tidings.fields import in_zone
from tidings.messages.changes import decision, end, refuse, revive
from tidings.messages.contacts.contractors import Contractor, find_contractor
from tidings.messages.gate import trust
from tidings.messages.gate.opt_outs import OptOutRequest, Reach, add_opt_out, channel_of
from tidings.messages.gate.trust import change_trust
from tidings.messages.gate.zones import Zone
from tidings.messages.inbound.keywords import Command, read_aside
from tidings.messages.inbound.sentiment import sentiment_of
from tidings.messages.ledger import DeliveryStatus, Outcome, write_lines
from tidings.messages.statuses import LEFT, OPEN, TAKEN, Reason, Status
from tidings.messages.tenants import INSTALLATION
from tidings.messages.usage import usage_row, write_usage
from tidings.work import Unit, Work


class FollowUps:
    """Follow-ups for other programs: `t.followups` of the facade, and what the HTTP routes call.

    `action_items` are what contractors have to do, `experiments` A/B tests of texts, and `figures` say how well
    follow-ups work. Follow-ups may be given as models or as mappings in the specification's field names. A naive
    time is the contractor's local time (`timezone` is that of contractors whose own nothing tells); stored and
    returned times are UTC.
    """

    def __init__(self, work: Work, drafts: DraftWriter, reach: Reach, *, timezone: str) -> None:
        self._work = work
        self._reach = reach
        self._drafts = drafts
        self._timezone = timezone
        self.action_items = ActionItems(work)
        self.experiments = Experiments(work)
        self.figures = Figures(work, timezone=timezone)

    async def schedule_follow_up(self, follow_up: FollowUpIn | Mapping[str, Any]) -> FollowUp:
        """Schedules one follow-up, the first of a series when `is_recurring`.

        Raises InvalidInput, NotFound, TemplateError for a template that cannot be rendered for this person,
        and Conflict when its experiment has ended.
        """
        wanted = parse(FollowUpIn, follow_up)
        async with self._work.begin() as unit:
            return await add_follow_up(unit, wanted, self._work.clock.now(), self._timezone)

    async def mark_follow_up_sent(self, follow_up_id: int, sent_by: str = "ai_concierge") -> FollowUp:
        """Notes that somebody sent it by other means; the worker does not send it then. Its series goes on.

        Doing it again is harmless. Raises NotFound, InvalidInput, and Conflict when it is cancelled or being
        sent right now.
        """
        who = parse(SentIn, {"sent_by": sent_by}).sent_by
        now = self._work.clock.now()
        async with self._work.begin() as unit:
            row = await find_follow_up(unit.session, follow_up_id, lock=True)
            if row.status == Status.SENT:
                return row
            refuse(FollowUpMessages, row, "marked as sent", Status.CANCELLED, Status.SENDING)
            row.status, row.status_reason, row.held_until, row.updated_at = Status.SENT, Reason.BY_REQUEST, None, now
            row.sent_at, row.sent_by, row.error_message = to_milliseconds(now), who, None
            unit.disarm(CONTRACTOR_FOLLOWUPS.name, FollowUpMessages.job_id(row.id))
            await unit.session.flush()
            line = decision(
                FollowUpMessages,
                row,
                Outcome.SENT,
                row.status_reason,
                now,
                inputs={"sent_by": who},
                channel=row.channel,
                delivery_status=DeliveryStatus.SENT,
            )
            await write_lines(unit.session, [line])
            return await self._go_on(unit, row, now)

    async def cancel_follow_up(self, follow_up_id: int, *, only_this: bool = False) -> FollowUp:
        """Cancels a follow-up that has not gone out, and with it its series; `only_this` lets the series go on.

        Cancelling it again is harmless. Raises NotFound, and Conflict when it was sent, skipped or has failed,
        or is being sent right now.
        """
        now = self._work.clock.now()
        async with self._work.begin() as unit:
            row = await find_follow_up(unit.session, follow_up_id, lock=True)
            if row.status == Status.CANCELLED:
                return row
            refuse(FollowUpMessages, row, "cancelled", *LEFT, Status.FAILED, Status.SKIPPED, Status.SENDING)
            row.is_recurring = row.is_recurring and only_this
            await end(unit, FollowUpMessages, [row], Status.CANCELLED, Reason.BY_REQUEST, now)
            return await self._go_on(unit, row, now)

    async def send_follow_up_message(self, follow_up_id: int) -> FollowUp:
        """Sends it now instead of at its time, one that failed or was skipped included.

        It takes the same way as every other: the worker sends it, if the gate lets it. Its series keeps its
        times. Raises NotFound, and Conflict when it was sent, is cancelled or is being sent right now.
        """
        now = to_milliseconds(self._work.clock.now())
        async with self._work.begin() as unit:
            row = await find_follow_up(unit.session, follow_up_id, lock=True)
            refuse(FollowUpMessages, row, "sent", *LEFT, Status.CANCELLED, Status.SENDING)
            row.scheduled_time = now
            if row.not_after is not None and row.not_after <= now:
                row.not_after = None
            revive(unit, FollowUpMessages, row, now)
            return row

    async def personalize_message(self, follow_up_id: int) -> Draft:
        """The text as it would be written now; nothing is sent. What an AI costs for it is recorded.

        Raises NotFound, and TemplateError when its template cannot be rendered any more.
        """
        async with self._work.read() as session:
            row = (await session.execute(LOADED.where(FollowUp.id == follow_up_id))).mappings().one_or_none()
        if row is None:
            raise NotFound("follow-up", follow_up_id)
        draft = await self._drafts.write(dict(row))
        if usage := usage_row(self._work.clock.now(), FollowUpMessages.name, follow_up_id, draft):
            async with self._work.begin() as unit:
                await write_usage(unit.session, [usage])
        return draft

    async def record_follow_up_response(
        self, follow_up_id: int, response: ResponseIn | Mapping[str, Any]
    ) -> FollowUp:
        """Stores by hand what the contractor answered, e.g. on the phone; a STOP opts them out.

        A naive `received_at` is the contractor's local time. Raises NotFound, InvalidInput, and Conflict when
        it was not sent yet.
        """
        wanted = parse(ResponseIn, response)
        now = self._work.clock.now()
        reading = await read_aside(wanted.response_text)
        try:
            async with self._work.begin() as unit:
                row = await find_follow_up(unit.session, follow_up_id, lock=True)
                if row.status not in TAKEN:
                    raise Conflict(f"follow-up {row.id} is {row.status}; only one that was sent can have a response")
                person = await find_contractor(unit.session, row.contractor_id)
                zones = await zones_of_follow_ups(unit.session, [row.id], self._timezone)
                received = in_zone(wanted.received_at or now, zones[row.id].name)
                command, action = reading.command, wanted.action_taken
                if command is Command.STOP:
                    action = OPTED_OUT
                    await _opt_out(unit.session, self._reach, person, now, wanted.response_text)
                sentiment = None if command else sentiment_of(wanted.response_text)
                add_reply(row, wanted.response_text, received, sentiment, action, now)
                return row
        except IntegrityError as error:
            raise Conflict("somebody else is opting the contractor out right now; try again") from error

    async def set_vip(self, contractor_id: int, vip: bool) -> int:
        """Has a contractor's follow-ups go first, or not any more; returns how many waiting ones that moved.

        Raises NotFound.
        """
        return await set_vip(self._work, contractor_id, vip)

    async def get_follow_up(self, follow_up_id: int) -> FollowUp:
        """One follow-up. Raises NotFound."""
        async with self._work.read() as session:
            return await find_follow_up(session, follow_up_id)

    async def get_zones(self, *follow_ups: FollowUp) -> dict[int, Zone]:
        """By whose clock follow-ups are planned, and what tells it, by their ids."""
        async with self._work.read() as session:
            return await zones_of_follow_ups(session, [one.id for one in follow_ups], self._timezone)

    async def get_pending_follow_ups(self, limit: int = 100) -> Sequence[FollowUp]:
        """Follow-ups that are still to go out, the next one first."""
        async with self._work.read() as session:
            return await next_to_go(session, FollowUp.status.in_(OPEN), limit=limit)

    async def get_due_follow_ups(self, limit: int = 100) -> Sequence[FollowUp]:
        """Follow-ups whose time has come and that wait for a worker, the oldest first."""
        async with self._work.read() as session:
            return await next_to_go(session, *due_by(self._work.clock.now()), limit=limit)

    async def get_contractor_follow_ups(
        self, contractor_id: int, *, status: Status | None = None, after_id: int = 0, limit: int = 100
    ) -> Sequence[FollowUp]:
        """A contractor's follow-ups in order of id, from the one after `after_id`. Raises NotFound."""
        async with self._work.read() as session:
            return await follow_ups_of(session, contractor_id, status, after_id, limit)

    async def get_scheduler_stats(self) -> SchedulerStats:
        """Counts by status, what is due, what was sent today, and the queue's jobs."""
        return await self.figures.get_scheduler_stats()

    async def _go_on(self, unit: Unit, row: FollowUp, now: datetime) -> FollowUp:
        """Schedules the next occurrence of a row that came to its end, if it is one of a series."""
        if row.is_recurring:
            jobs = await schedule_next(await unit.session.connection(), [row.id], now, self._timezone)
            for job in jobs.values():
                unit.arm(job)
            await unit.session.refresh(row)
        return row


async def _opt_out(session: AsyncSession, reach: Reach, person: Contractor, now: datetime, words: str) -> None:
    address = person.phone or person.email
    if address is None:
        return
    word = OptOutRequest(address, "api", "reply", words=words, contact_id=person.id)
    new = [await add_opt_out(session, one, now) for one in reach.requests([INSTALLATION], channel_of(address), word)]
    if any(new):
        await change_trust(session, person.id, trust.OPTED_OUT, "opted out", now)
