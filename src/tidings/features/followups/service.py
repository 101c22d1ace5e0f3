"""The verbs of the follow-ups. Each changes rows and queue together, in one unit of work."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from tidings.ai.base import Draft
from tidings.clock import to_milliseconds
from tidings.errors import Conflict, NotFound
from tidings.feature import parse
from tidings.features.followups.action_items import ActionItems
from tidings.features.followups.drafts import Wording
from tidings.features.followups.experiments import Experiments
from tidings.features.followups.jobs import CONTRACTOR_FOLLOWUPS
from tidings.features.followups.kind import KIND, LOADED, alarm, alarm_id
from tidings.features.followups.models import FollowUp, priority_for
from tidings.features.followups.queries import Reading, find_follow_up
from tidings.features.followups.replies import OPTED_OUT, add_reply
from tidings.features.followups.schedule import add_follow_up
from tidings.features.followups.schemas import FollowUpIn, ResponseIn, SentIn
from tidings.features.followups.series import schedule_next
from tidings.fields import in_zone
from tidings.messages.contacts.contractors import Contractor, find_contractor
from tidings.messages.gate import trust
from tidings.messages.gate.opt_outs import add_opt_out
from tidings.messages.gate.trust import change_trust
from tidings.messages.inbound.keywords import Command, command_of
from tidings.messages.inbound.sentiment import sentiment_of
from tidings.messages.ledger import DeliveryStatus, Outcome, write_lines
from tidings.messages.statuses import OPEN, Reason, Status
from tidings.messages.usage import usage_row, write_usage
from tidings.work import Unit, Work


class FollowUps(ActionItems, Experiments, Reading):
    """Follow-ups for other programs: `t.followups` of the facade, and what the HTTP routes call.

    Follow-ups may be given as models or as mappings in the specification's field names. A naive time is the
    contractor's local time (`timezone` is that of contractors without one); stored and returned times are UTC.
    """

    def __init__(self, work: Work, wording: Wording, *, timezone: str) -> None:
        super().__init__(work, timezone=timezone)
        self._wording = wording

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
            _refuse(row, "marked as sent", Status.CANCELLED, Status.SENDING)
            _settle(row, Status.SENT, Reason.BY_REQUEST, now)
            row.sent_at, row.sent_by, row.error_message = to_milliseconds(now), who, None
            unit.disarm(CONTRACTOR_FOLLOWUPS.name, alarm_id(row.id))
            await unit.session.flush()
            sent = {"channel": row.channel, "delivery_status": DeliveryStatus.SENT, "inputs": {"sent_by": who}}
            await write_lines(unit.session, [{**_line(row, Outcome.SENT, now), **sent}])
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
            _refuse(row, "cancelled", Status.SENT, Status.FAILED, Status.SKIPPED, Status.SENDING)
            _settle(row, Status.CANCELLED, Reason.BY_REQUEST, now)
            row.is_recurring = row.is_recurring and only_this
            unit.disarm(CONTRACTOR_FOLLOWUPS.name, alarm_id(row.id))
            await unit.session.flush()
            await write_lines(unit.session, [_line(row, Outcome.CANCELLED, now)])
            return await self._go_on(unit, row, now)

    async def send_follow_up_message(self, follow_up_id: int) -> FollowUp:
        """Sends it now instead of at its time, one that failed or was skipped included.

        It takes the same way as every other: the worker sends it, if the gate lets it. Its series keeps its
        times. Raises NotFound, and Conflict when it was sent, is cancelled or is being sent right now.
        """
        now = to_milliseconds(self._work.clock.now())
        async with self._work.begin() as unit:
            row = await find_follow_up(unit.session, follow_up_id, lock=True)
            _refuse(row, "sent", Status.SENT, Status.CANCELLED, Status.SENDING)
            _settle(row, Status.SCHEDULED, Reason.BY_REQUEST, now)
            row.scheduled_time, row.attempts, row.error_message = now, 0, None
            if row.not_after is not None and row.not_after <= now:
                row.not_after = None
            unit.arm(alarm(row))
            return row

    async def personalize_message(self, follow_up_id: int) -> Draft:
        """The text as it would be written now; nothing is sent. What an AI costs for it is recorded.

        Raises NotFound, and TemplateError when its template cannot be rendered any more.
        """
        async with self._work.read() as session:
            row = (await session.execute(LOADED.where(FollowUp.id == follow_up_id))).mappings().one_or_none()
        if row is None:
            raise NotFound("follow-up", follow_up_id)
        draft = await self._wording.draft(dict(row))
        if usage := usage_row(self._work.clock.now(), KIND, follow_up_id, draft):
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
        try:
            async with self._work.begin() as unit:
                row = await find_follow_up(unit.session, follow_up_id, lock=True)
                if row.status != Status.SENT:
                    raise Conflict(f"follow-up {row.id} is {row.status}; only one that was sent can have a response")
                person = await find_contractor(unit.session, row.contractor_id)
                received = in_zone(wanted.received_at or now, person.timezone or self._timezone)
                command, action = command_of(wanted.response_text), wanted.action_taken
                if command is Command.STOP:
                    action = OPTED_OUT
                    await _opt_out(unit.session, person, now, wanted.response_text)
                sentiment = None if command else sentiment_of(wanted.response_text)
                add_reply(row, wanted.response_text, received, sentiment, action, now)
                return row
        except IntegrityError as error:
            raise Conflict("somebody else is opting the contractor out right now; try again") from error

    async def set_vip(self, contractor_id: int, vip: bool) -> int:
        """Has a contractor's follow-ups go first, or not any more; returns how many waiting ones that moved.

        Raises NotFound.
        """
        now, priority = self._work.clock.now(), priority_for(vip)
        theirs = (FollowUp.contractor_id == contractor_id, FollowUp.status.in_(OPEN))
        async with self._work.begin() as unit:
            session = unit.session
            # Rows before the contractor, as everybody locks them.
            await session.execute(select(FollowUp.id).where(*theirs).order_by(FollowUp.id).with_for_update())
            found = await session.execute(
                update(Contractor)
                .where(Contractor.id == contractor_id)
                .values(vip=vip, updated_at=now)
                .returning(Contractor.id)
            )
            if found.one_or_none() is None:
                raise NotFound("contractor", contractor_id)
            # Also those that were written while this waited for its locks.
            rows = await session.scalars(
                update(FollowUp)
                .where(*theirs, FollowUp.priority != priority)
                .values(priority=priority, updated_at=now)
                .returning(FollowUp)
            )
            moved = rows.all()
            for row in moved:
                unit.arm(alarm(row))
            return len(moved)

    async def _go_on(self, unit: Unit, row: FollowUp, now: datetime) -> FollowUp:
        """Schedules the next occurrence of a row that came to its end, if it is one of a series."""
        if row.is_recurring:
            jobs = await schedule_next(await unit.session.connection(), [row.id], now, self._timezone)
            for job in jobs.values():
                unit.arm(job)
            await unit.session.refresh(row)
        return row


def _refuse(row: FollowUp, verb: str, *statuses: Status) -> None:
    if row.status in statuses:
        state = "is being sent right now" if row.status == Status.SENDING else f"is {row.status} already"
        raise Conflict(f"follow-up {row.id} {state} and cannot be {verb}")


def _settle(row: FollowUp, status: Status, reason: Reason, now: datetime) -> None:
    row.status, row.status_reason, row.held_until, row.updated_at = status, reason, None, now


def _line(row: FollowUp, outcome: Outcome, now: datetime) -> dict[str, Any]:
    """The ledger line of a decision that somebody made by hand."""
    return {
        "at": now,
        "kind": KIND,
        "message_id": row.id,
        "contact_id": row.contractor_id,
        "outcome": outcome,
        "reason": row.status_reason,
    }


async def _opt_out(session: AsyncSession, person: Contractor, now: datetime, words: str) -> None:
    address = person.phone or person.email
    if address is not None and await add_opt_out(session, address, person.id, now, source="reply", words=words):
        await change_trust(session, person.id, trust.OPTED_OUT, "opted out", now)
