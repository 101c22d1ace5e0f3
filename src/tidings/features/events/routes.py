"""HTTP endpoints of the event messages. Every one is a verb of the service; times in answers are UTC."""

from __future__ import annotations

from enum import Enum
from typing import Annotated

from fastapi import Body, Response

from tidings.features.events.plan_changes import ScheduleResult
from tidings.features.events.schemas import (
    AgendaIn,
    ChangedEventOut,
    ContractorIn,
    ContractorOut,
    DeliveryOut,
    EventChangeIn,
    EventIn,
    EventMessageIn,
    EventMessageOut,
    EventOut,
    ListedMessage,
    RegistrationIn,
    RegistrationOut,
    RescheduleIn,
    SessionOut,
)
from tidings.features.events.service import Events
from tidings.fields import After, Counted, Id, Limit
from tidings.messages.statuses import Status
from tidings.web.routing import new_router, provided

Service = Annotated[Events, provided(Events)]

EVENTS: list[str | Enum] = ["events"]
PEOPLE: list[str | Enum] = ["people"]
MESSAGES: list[str | Enum] = ["event messages"]

router = new_router()


@router.post("/events", status_code=201, tags=EVENTS)
async def create_event(events: Service, event: EventIn) -> EventOut:
    """Creates an event with its agenda. Naive times are its local time."""
    return EventOut.model_validate(await events.create_event(event))


@router.get("/events", tags=EVENTS)
async def list_events(events: Service) -> list[EventOut]:
    """Every event, the earliest first."""
    return [EventOut.model_validate(event) for event in await events.program.list_events()]


@router.get("/events/{event_id}", tags=EVENTS)
async def get_event(events: Service, event_id: Id) -> EventOut:
    """One event."""
    return EventOut.model_validate(await events.program.get_event(event_id))


@router.patch("/events/{event_id}", tags=EVENTS)
async def change_event(events: Service, event_id: Id, change: EventChangeIn) -> ChangedEventOut:
    """Has the event's clocks hang in another timezone: naive times move along, and so do their messages."""
    event, messages = await events.program.change_event(event_id, change)
    return ChangedEventOut(**EventOut.model_validate(event).model_dump(), messages=messages)


@router.delete("/events/{event_id}", tags=EVENTS)
async def cancel_event(events: Service, event_id: Id) -> Counted:
    """Cancels an event and all its waiting messages."""
    return Counted(messages=await events.program.cancel_event(event_id))


@router.get("/events/{event_id}/agenda", tags=EVENTS)
async def get_agenda(events: Service, event_id: Id) -> list[SessionOut]:
    """The event's sessions in order of time."""
    return [SessionOut.model_validate(slot) for slot in await events.program.get_agenda(event_id)]


@router.put("/events/{event_id}/agenda", tags=EVENTS)
async def replace_agenda(events: Service, event_id: Id, agenda: AgendaIn) -> ScheduleResult:
    """Stores a new agenda and moves, adds and cancels exactly the messages that it changes."""
    return await events.program.replace_agenda(event_id, agenda)


@router.post("/events/{event_id}/schedule", tags=EVENTS)
async def schedule_all_event_messages(events: Service, event_id: Id) -> ScheduleResult:
    """Makes the schedule of everybody registered; running it again changes only what differs."""
    return await events.schedule_all_event_messages(event_id)


@router.delete("/events/{event_id}/messages", tags=EVENTS)
async def clear_event_messages(events: Service, event_id: Id) -> Counted:
    """Cancels all waiting messages of an event."""
    return Counted(messages=await events.clear_event_messages(event_id))


@router.post("/contractors", status_code=201, tags=PEOPLE)
async def create_contractor(events: Service, contractor: ContractorIn, response: Response) -> ContractorOut:
    """Adds a person (201), or completes the one with the same phone or mail (200)."""
    stored, new = await events.create_contractor(contractor)
    response.status_code = 201 if new else 200
    return ContractorOut.model_validate(stored)


@router.get("/contractors/{contractor_id}", tags=PEOPLE)
async def get_contractor(events: Service, contractor_id: Id) -> ContractorOut:
    """One person."""
    return ContractorOut.model_validate(await events.registrations.get_contractor(contractor_id))


@router.post("/events/{event_id}/registrations", status_code=201, tags=PEOPLE)
async def register(events: Service, event_id: Id, registration: RegistrationIn) -> RegistrationOut:
    """Registers a person and schedules all that is still ahead of them."""
    return RegistrationOut.model_validate(await events.register(event_id, registration))


@router.delete("/events/{event_id}/registrations/{contractor_id}", tags=PEOPLE)
async def cancel_registration(events: Service, event_id: Id, contractor_id: Id) -> Counted:
    """Takes a person off an event and cancels their waiting messages."""
    return Counted(messages=await events.registrations.cancel(event_id, contractor_id))


@router.post("/events/{event_id}/contractors/{contractor_id}/schedule", tags=PEOPLE)
async def schedule_messages_for_contractor(events: Service, event_id: Id, contractor_id: Id) -> ScheduleResult:
    """Makes one person's schedule."""
    return await events.schedule_messages_for_contractor(event_id, contractor_id)


@router.delete("/events/{event_id}/contractors/{contractor_id}/messages", tags=PEOPLE)
async def clear_contractor_messages(events: Service, event_id: Id, contractor_id: Id) -> Counted:
    """Cancels one person's waiting messages of an event."""
    return Counted(messages=await events.clear_contractor_messages(event_id, contractor_id))


@router.post("/event-messages", status_code=201, tags=MESSAGES)
async def schedule_event_message(events: Service, message: EventMessageIn) -> EventMessageOut:
    """Schedules one message; scheduling the same one twice is harmless."""
    return EventMessageOut.model_validate(await events.schedule_event_message(message))


@router.post("/event-messages/bulk", status_code=201, tags=MESSAGES)
async def schedule_bulk_event_messages(
    events: Service,
    messages: Annotated[list[EventMessageIn], Body(max_length=10_000)],
) -> list[EventMessageOut]:
    """Schedules many messages: all of them, or none."""
    stored = await events.schedule_bulk_event_messages(messages)
    return [EventMessageOut.model_validate(row) for row in stored]


@router.get("/event-messages", tags=MESSAGES)
async def list_messages(
    events: Service,
    event_id: Id | None = None,
    contractor_id: Id | None = None,
    status: Status | None = None,
    after_id: After = 0,
    limit: Limit = 100,
) -> list[ListedMessage]:
    """Messages in order of id; the last id is the next page's `after_id`."""
    rows = await events.list_messages(
        event_id=event_id, contractor_id=contractor_id, status=status, after_id=after_id, limit=limit
    )
    return [ListedMessage.model_validate(row) for row in rows]


@router.get("/event-messages/upcoming", tags=MESSAGES)
async def get_upcoming_messages(events: Service, limit: Limit = 1000) -> list[ListedMessage]:
    """The messages of the next 24 hours in order of time."""
    return [ListedMessage.model_validate(row) for row in await events.get_upcoming_messages(limit)]


@router.get("/events/{event_id}/deliveries", tags=MESSAGES)
async def get_deliveries(
    events: Service, event_id: Id, after_id: After = 0, limit: Limit = 1000
) -> list[DeliveryOut]:
    """Every attempt and decision about an event's messages; the last id is the next page's `after_id`."""
    lines = await events.get_deliveries(event_id, after_id=after_id, limit=limit)
    return [DeliveryOut.model_validate(line) for line in lines]


@router.post("/event-messages/recover", tags=MESSAGES)
async def recover_failed_messages(events: Service, event_id: Id | None = None) -> list[EventMessageOut]:
    """Sends at once what failed in the last 24 hours and is still of use."""
    return [EventMessageOut.model_validate(row) for row in await events.recover_failed_messages(event_id)]


@router.get("/event-messages/{message_id}", tags=MESSAGES)
async def get_message(events: Service, message_id: Id) -> EventMessageOut:
    """One message."""
    return EventMessageOut.model_validate(await events.get_message(message_id))


@router.put("/event-messages/{message_id}/schedule", tags=MESSAGES)
async def reschedule_event_message(events: Service, message_id: Id, change: RescheduleIn) -> EventMessageOut:
    """Moves a message that has not gone out, and brings a cancelled, skipped or failed one back."""
    text = change.model_dump(exclude={"scheduled_time"})
    return EventMessageOut.model_validate(
        await events.reschedule_event_message(message_id, change.scheduled_time, text)
    )


@router.delete("/event-messages/{message_id}", tags=MESSAGES)
async def cancel_event_message(events: Service, message_id: Id) -> EventMessageOut:
    """Cancels a message that has not gone out."""
    return EventMessageOut.model_validate(await events.cancel_event_message(message_id))
