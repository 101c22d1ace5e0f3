"""The verbs of the event messages. Each changes rows and queue together, in one unit of work."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from tidings.clock import to_milliseconds
from tidings.errors import Conflict, NotFound
from tidings.feature import parse
from tidings.features.events import views
from tidings.features.events.jobs import EVENT_MESSAGES
from tidings.features.events.kind import EventMessages
from tidings.features.events.lookup import find_event, find_message, find_registration
from tidings.features.events.models import Event, EventMessage, Registration
from tidings.features.events.plan_changes import ScheduleResult, clear, clear_event
from tidings.features.events.program import Program
from tidings.features.events.registrations import Registrations
from tidings.features.events.requested import put_messages, require_not_cancelled
from tidings.features.events.rules.plan import Planned
from tidings.features.events.schedule import make_schedule, make_schedules, wanted_messages
from tidings.features.events.schemas import ContractorIn, EventIn, EventMessageIn, RegistrationIn, RescheduleIn
from tidings.features.events.wanted import Wanted, read_wanted, wanted_of
from tidings.fields import in_zone
from tidings.messages.changes import end, refuse, revive
from tidings.messages.contacts.contractors import Contractor, find_contractor
from tidings.messages.statuses import LEFT, Reason, Status
from tidings.work import Work

UPCOMING_WINDOW = timedelta(hours=24)
RECOVERY_WINDOW = timedelta(hours=24)


class Events:
    """Event messages for other programs: `t.events` of the facade, and what the HTTP routes call.

    `program` has the events and their agendas, `registrations` who comes to them. Messages may be given as models
    or as mappings in the specification's field names. A naive time is the event's local time; stored and returned
    times are UTC. `region` is where phone numbers without + are read, `timezone` that of events without one.
    """

    def __init__(self, work: Work, *, region: str, timezone: str) -> None:
        self._work = work
        self._region = region
        self.program = Program(work, timezone=timezone)
        self.registrations = Registrations(work, region=region)

    async def create_event(self, event: EventIn | Mapping[str, Any]) -> Event:
        """Stores an event with its agenda; see `Program.create_event`."""
        return await self.program.create_event(event)

    async def create_contractor(self, contractor: ContractorIn | Mapping[str, Any]) -> tuple[Contractor, bool]:
        """Adds or completes a person; see `Registrations.create_contractor`."""
        return await self.registrations.create_contractor(contractor)

    async def register(self, event_id: int, registration: RegistrationIn | Mapping[str, Any]) -> Registration:
        """Registers a person for an event; see `Registrations.register`."""
        return await self.registrations.register(event_id, registration)

    async def schedule_all_event_messages(self, event_id: int) -> ScheduleResult:
        """Makes the schedule of everybody registered, some people after the other; see `make_schedules`.

        Running it again changes only what differs. Raises NotFound.
        """
        return await make_schedules(self._work, event_id)

    async def schedule_messages_for_contractor(self, event_id: int, contractor_id: int) -> ScheduleResult:
        """Makes one person's schedule. Raises NotFound, also when they are not registered."""
        async with self._work.begin() as unit:
            await find_event(unit.session, event_id, lock=True)
            registration = await find_registration(unit.session, event_id, contractor_id)
            if registration is None or registration.cancelled_at is not None:
                raise NotFound("registration of contractor", contractor_id)
            return await make_schedule(unit, self._work.clock, event_id, [contractor_id])

    async def plan(self, event_id: int) -> list[Planned]:
        """What the rules ask for, for everybody registered, without storing anything. Raises NotFound."""
        async with self._work.read() as session:
            plans = await wanted_messages(session, await find_event(session, event_id))
            return [planned for plan in plans for planned in plan]

    async def schedule_event_message(self, message: EventMessageIn | Mapping[str, Any]) -> EventMessage:
        """Schedules one message, or puts the stored message `id` back into the queue.

        Scheduling the same message twice is harmless. Raises InvalidInput, NotFound, and Conflict when a
        different message of this type (and session) exists for this person or it was sent already.
        """
        [row] = await self._put([wanted_of(parse(EventMessageIn, message))], numbered=False)
        return row

    async def schedule_bulk_event_messages(
        self, messages: Iterable[EventMessageIn | Mapping[str, Any]]
    ) -> Sequence[EventMessage]:
        """Schedules many messages in one transaction: all of them, or none and an error that names the bad one.

        A million at most, from a list or from anything that yields them. A returned row is made when it is looked at.
        Raises InvalidInput, its field beginning with the message's number from 0, and Conflict.
        """
        return await self._put(await read_wanted(messages), numbered=True)

    async def cancel_event_message(self, message_id: int) -> EventMessage:
        """Cancels a message that has not gone out. Cancelling it again is harmless.

        Raises NotFound, and Conflict when it was sent, has failed or is being sent right now.
        """
        async with self._work.begin() as unit:
            row = await find_message(unit.session, message_id, lock=True)
            if row.status == Status.CANCELLED:
                return row
            refuse(EventMessages, row, "cancelled", *LEFT, Status.FAILED, Status.SKIPPED, Status.SENDING)
            await end(unit, EventMessages, [row], Status.CANCELLED, Reason.BY_REQUEST, self._work.clock.now())
            return row

    async def reschedule_event_message(
        self, message_id: int, new_time: Any, data: Mapping[str, Any] | None = None
    ) -> EventMessage:
        """Moves a message to `new_time`; `data` may bring a new message_content or personalization_data.

        A cancelled, skipped or failed message comes back to life. Raises NotFound, InvalidInput, and Conflict
        when it was sent or is being sent right now or its event is cancelled.
        """
        text = {name: (data or {}).get(name) for name in ("message_content", "personalization_data")}
        change = parse(RescheduleIn, {"scheduled_time": new_time, **text})
        async with self._work.begin() as unit:
            row = await find_message(unit.session, message_id, lock=True)
            refuse(EventMessages, row, "rescheduled", *LEFT, Status.SENDING)
            event = await find_event(unit.session, row.event_id)
            require_not_cancelled(event)
            values: dict[str, Any] = change.model_dump(exclude={"scheduled_time"}, exclude_none=True)
            values["scheduled_time"] = to_milliseconds(in_zone(change.scheduled_time, event.timezone))
            for name, value in values.items():
                setattr(row, name, value)
            revive(unit, EventMessages, row, self._work.clock.now())
            return row

    async def clear_event_messages(self, event_id: int) -> int:
        """Cancels all waiting messages of an event, some after the other; returns how many. Raises NotFound."""
        async with self._work.read() as session:
            await find_event(session, event_id)
        return await clear_event(self._work, Reason.EVENT_CLEARED, event_id)

    async def clear_contractor_messages(self, event_id: int, contractor_id: int) -> int:
        """Cancels one person's waiting messages of an event; returns how many. Raises NotFound."""
        async with self._work.begin() as unit:
            await find_event(unit.session, event_id)
            await find_contractor(unit.session, contractor_id)
            return await clear(unit, Reason.CONTRACTOR_CLEARED, self._work.clock.now(), event_id, contractor_id)

    async def recover_failed_messages(self, event_id: int | None = None) -> list[EventMessage]:
        """Sends at once what failed in the last 24 hours, of one event or of all. Raises NotFound.

        Messages keep their scheduled time, so what is of no use any more by now is skipped.
        """
        now = self._work.clock.now()
        has_failed = (EventMessage.status == Status.FAILED, EventMessage.scheduled_time > now - RECOVERY_WINDOW)
        # By ids, so that SQLite does not go through all messages for their order.
        query = select(EventMessage).where(
            EventMessage.id.in_(select(EventMessage.id).where(*has_failed)), *has_failed
        )
        if event_id is not None:
            query = query.where(EventMessage.event_id == event_id)
        async with self._work.begin() as unit:
            if event_id is not None:
                await find_event(unit.session, event_id)
            rows = (await unit.session.scalars(query.order_by(EventMessage.id).with_for_update())).all()
            for row in rows:
                revive(unit, EventMessages, row, now)
            return list(rows)

    async def get_queue_stats(self) -> dict[str, int]:
        """How many jobs are waiting, active, completed, failed and delayed; `total` are those still to run."""
        return (await self._work.queues.stats(EVENT_MESSAGES.name)).as_dict()

    async def get_upcoming_messages(self, limit: int = 1000) -> list[dict[str, Any]]:
        """The messages of the next 24 hours in order of time, with the names of person and event."""
        until = self._work.clock.now() + UPCOMING_WINDOW
        async with self._work.read() as session:
            return await views.upcoming(session, until, limit)

    async def list_messages(
        self,
        *,
        event_id: int | None = None,
        contractor_id: int | None = None,
        status: Status | None = None,
        after_id: int = 0,
        limit: int = 100,
    ) -> list[dict[str, Any]]:
        """Messages in order of id, from the one after `after_id`, with the names of person and event."""
        wanted = {"event_id": event_id, "contractor_id": contractor_id, "status": status}
        async with self._work.read() as session:
            return await views.page(session, wanted, after_id, limit)

    async def get_deliveries(self, event_id: int, *, after_id: int = 0, limit: int = 1000) -> list[dict[str, Any]]:
        """Every attempt and decision about an event's messages, in the order in which they happened.

        Raises NotFound.
        """
        async with self._work.read() as session:
            await find_event(session, event_id)
            return await views.deliveries(session, event_id, after_id, limit)

    async def count_messages(self, event_id: int) -> list[tuple[Status, Reason | None, int]]:
        """How many of an event's messages have which status, for which reason."""
        async with self._work.read() as session:
            return await views.counts(session, event_id)

    async def get_message(self, message_id: int) -> EventMessage:
        """One stored message. Raises NotFound."""
        async with self._work.read() as session:
            return await find_message(session, message_id)

    async def _put(self, wanted: list[Wanted], *, numbered: bool) -> Sequence[EventMessage]:
        try:
            async with self._work.begin() as unit:
                return await put_messages(unit, wanted, self._work.clock.now(), self._region, numbered=numbered)
        except IntegrityError as error:
            raise Conflict(
                "the same message is being scheduled by somebody else; look at it and try again"
            ) from error
