"""When event messages leave: the specification's "Message Type Reference" as pure functions.

All moments are aware UTC datetimes in whole milliseconds. Days and hours of the clock are those of the
event's IANA timezone, daylight saving time included; "an hour before" and the like are elapsed time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from tidings.clock import to_milliseconds
from tidings.features.events.models import SessionKind
from tidings.features.events.rules.plan import Attendee, EventFacts, Planned, SessionFacts
from tidings.features.events.rules.texts import about_agenda, about_event, about_session
from tidings.features.events.types import MessageType

NIGHT_BEFORE_AT = time(20)
"""On the clocks where the event takes place, the evening before its first day."""
HOUR_BEFORE = timedelta(hours=1)
SPEAKER_ALERT_BEFORE = timedelta(minutes=15)
PCR_AFTER = timedelta(minutes=7)
WRAP_UP_AFTER = timedelta(hours=2)

START_REMINDER_USEFUL = timedelta(hours=1)
FEEDBACK_USEFUL = timedelta(hours=24)
CHOSEN_TIME_USEFUL = timedelta(hours=1)
"""How long a message stays useful whose time somebody set beyond what its type's rule allows."""

_Moment = tuple[MessageType, str, datetime, dict[str, Any]]


IMMEDIATE = frozenset({MessageType.REGISTRATION_CONFIRMATION, MessageType.PERSONALIZED_AGENDA})
IMMEDIATE_GRACE = timedelta(hours=1)
"""How long after its moment a message that leaves at once is still worth planning."""


def plan_for(
    event: EventFacts, sessions: Sequence[SessionFacts], attendee: Attendee, peers: Mapping[str, Attendee]
) -> list[Planned]:
    """Every message that one person should get about an event, the past ones included, in order of time.

    `peers` has the person to meet for each networking slot's key; without one there is no message.
    Messages about the whole event have an empty session_key. The same input always gives the same plan.
    """
    whole_event = about_event(event)
    planned = [
        Planned(attendee.contractor_id, message_type, key, to_milliseconds(moment), whole_event | data)
        for moments in (_about_event(event, sessions, attendee), _about_sessions(event, sessions, attendee, peers))
        for message_type, key, moment, data in moments
    ]
    return sorted(planned, key=lambda message: (message.scheduled_time, message.message_type, message.session_key))


def _about_event(event: EventFacts, sessions: Sequence[SessionFacts], attendee: Attendee) -> Iterator[_Moment]:
    yield MessageType.REGISTRATION_CONFIRMATION, "", attendee.registered_at, {}
    if attendee.profile_completed_at is not None:
        agenda = about_agenda(_chosen(sessions, attendee), event.timezone)
        yield MessageType.PERSONALIZED_AGENDA, "", attendee.profile_completed_at, agenda
    yield MessageType.CHECK_IN_REMINDER_NIGHT_BEFORE, "", evening_before(event.start_time, event.timezone), {}
    yield MessageType.CHECK_IN_REMINDER_1_HOUR, "", event.start_time - HOUR_BEFORE, {}
    yield MessageType.CHECK_IN_REMINDER_EVENT_START, "", event.start_time, {}
    yield MessageType.POST_EVENT_WRAP_UP, "", event.end_time + WRAP_UP_AFTER, {}


def _about_sessions(
    event: EventFacts, sessions: Sequence[SessionFacts], attendee: Attendee, peers: Mapping[str, Attendee]
) -> Iterator[_Moment]:
    for session in _chosen(sessions, attendee):
        data = about_session(session, event.timezone)
        yield MessageType.SPEAKER_ALERT, session.key, session.start_time - SPEAKER_ALERT_BEFORE, data
        yield MessageType.PCR_REQUEST, session.key, session.end_time + PCR_AFTER, data
    for slot in sessions:
        if slot.kind == SessionKind.BREAK:
            data = about_session(slot, event.timezone) | {"sponsor_name": sponsor_of(slot, sessions)}
            yield MessageType.SPONSOR_RECOMMENDATION, slot.key, slot.start_time, data
        elif slot.kind == SessionKind.NETWORKING and (peer := peers.get(slot.key)):
            data = about_session(slot, event.timezone)
            data |= {"peer_name": peer.name, "peer_company": peer.company_name}
            yield MessageType.PEER_MATCH_NOTIFICATION, slot.key, slot.start_time, data


def _chosen(sessions: Sequence[SessionFacts], attendee: Attendee) -> list[SessionFacts]:
    return [
        session
        for session in sessions
        if session.kind == SessionKind.SESSION and (not attendee.session_keys or session.key in attendee.session_keys)
    ]


def evening_before(start: datetime, timezone: str) -> datetime:
    """20:00 in `timezone` (IANA name) on the last day there before the day of `start`; UTC.

    A day that the calendar skipped (Pacific/Apia, 30 December 2011) is not taken for the day before.
    """
    zone = ZoneInfo(timezone)
    day = start.astimezone(zone).date()
    while True:
        day -= timedelta(days=1)
        evening = datetime.combine(day, NIGHT_BEFORE_AT, zone).astimezone(UTC)
        if evening.astimezone(zone).date() == day:
            return evening


def sponsor_of(pause: SessionFacts, sessions: Sequence[SessionFacts]) -> str | None:
    """Whom to recommend in a break: its own sponsor, else the last session's before it, else the next one's."""
    if pause.sponsor:
        return pause.sponsor
    sponsored = [session for session in sessions if session.kind == SessionKind.SESSION and session.sponsor]
    over = [session for session in sponsored if session.end_time <= pause.start_time]
    if over:
        return max(over, key=lambda session: (session.end_time, session.start_time, session.key)).sponsor
    coming = [session for session in sponsored if session.start_time >= pause.start_time]
    if coming:
        return min(coming, key=lambda session: (session.start_time, session.end_time, session.key)).sponsor
    return None


def is_past(message: Planned, now: datetime) -> bool:
    """Whether a message comes too late to be planned at the moment `now` (UTC)."""
    grace = IMMEDIATE_GRACE if message.message_type in IMMEDIATE else timedelta(0)
    return message.scheduled_time + grace < now


def useful_until(
    message_type: MessageType, scheduled_time: datetime, event: EventFacts, session: SessionFacts | None
) -> datetime:
    """The moment (UTC) from which a message that has not left yet is skipped instead of sent late.

    `session` is the slot that the message is about, None when it is about none or the slot is gone. Whoever
    schedules a message for a time at which its type would be of no use any more means it: then it stays
    useful for an hour.
    """
    end = _natural_end(message_type, scheduled_time, event, session)
    return end if end > scheduled_time else scheduled_time + CHOSEN_TIME_USEFUL


def _natural_end(
    message_type: MessageType, scheduled_time: datetime, event: EventFacts, session: SessionFacts | None
) -> datetime:
    match message_type:
        case MessageType.REGISTRATION_CONFIRMATION | MessageType.PERSONALIZED_AGENDA:
            # Both help as long as there is something left to attend.
            return event.end_time
        case MessageType.CHECK_IN_REMINDER_NIGHT_BEFORE:
            # It says "tomorrow": wrong after midnight, and nobody wants to be woken by it.
            zone = ZoneInfo(event.timezone)
            first_day = event.start_time.astimezone(zone).date()
            return datetime.combine(first_day, time(), zone).astimezone(UTC)
        case MessageType.CHECK_IN_REMINDER_1_HOUR:
            # From the start on, the next reminder says it better.
            return event.start_time
        case MessageType.CHECK_IN_REMINDER_EVENT_START:
            # Latecomers are glad of it; later in the day it is noise.
            return event.start_time + START_REMINDER_USEFUL
        case MessageType.SPEAKER_ALERT | MessageType.SPONSOR_RECOMMENDATION | MessageType.PEER_MATCH_NOTIFICATION:
            # One can still walk in, stop by or meet until the slot is over. Without a slot: nothing to go to.
            return session.end_time if session else scheduled_time
        case MessageType.PCR_REQUEST | MessageType.POST_EVENT_WRAP_UP:
            # A day later people have forgotten what they would have answered.
            return scheduled_time + FEEDBACK_USEFUL
