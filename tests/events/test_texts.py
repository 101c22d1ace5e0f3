"""What event messages say."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from tidings.errors import TemplateError
from tidings.features.events.models import SessionKind
from tidings.features.events.rules.plan import Attendee, EventFacts, SessionFacts
from tidings.features.events.rules.texts import TEMPLATES, compose_text, known_variables, variables_for
from tidings.features.events.rules.timing import plan_for
from tidings.features.events.types import MessageType
from tidings.messages.text.templates import check

START = datetime(2025, 10, 17, 13, tzinfo=UTC)
EVENT = EventFacts(
    41, "Builders Summit 2025", "Grand Hotel Detroit", "America/Detroit", START, START + timedelta(hours=8)
)
ANNA = {
    "id": 56, "name": "Anna Lee", "first_name": "Anna", "last_name": "Lee", "email": "anna@example.com",
    "company_name": "Lee Roofing", "phone": "+18105550123",
}  # fmt: skip
NOBODY = {"name": "", "first_name": None, "last_name": None, "email": None, "company_name": None}

GSM_7 = set(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿"
    "abcdefghijklmnopqrstuvwxyzäöñüà"
)
"""The basic character set of 3GPP TS 23.038, one septet each."""


def slot(key: str, hours: int, kind: SessionKind, **more: str | None) -> SessionFacts:
    start = START + timedelta(hours=hours)
    facts = {
        "title": "Pricing jobs that pay",
        "speaker": "Maria Gonzalez",
        "sponsor": "Acme Tools",
        "room": "Room 12",
    }
    return SessionFacts(key, kind, **(facts | more), start_time=start, end_time=start + timedelta(minutes=30))


AGENDA = [slot("a", 0, SessionKind.SESSION), slot("b", 1, SessionKind.BREAK), slot("n", 2, SessionKind.NETWORKING)]
BARE_AGENDA = [replace(each, speaker=None, sponsor=None, room=None) for each in AGENDA]
ATTENDEE = Attendee(56, "Anna Lee", "Lee Roofing", frozenset(), START, START)
PEER = Attendee(57, "Christopher Cruz", "Cruz & Sons Plumbing", frozenset(), START, None)


def planned_text(message_type: MessageType, agenda: list[SessionFacts], event: EventFacts = EVENT) -> str:
    peer = PEER if agenda is AGENDA else replace(PEER, company_name=None)
    plan = plan_for(event, agenda, ATTENDEE, {"n": peer})
    message = next(each for each in plan if each.message_type == message_type)
    return compose_text(message_type, None, variables_for(ANNA, event, message.personalization_data))


@pytest.mark.parametrize(
    ("message_type", "text"),
    [
        (
            MessageType.REGISTRATION_CONFIRMATION,
            "Hi Anna, you're registered for Builders Summit 2025 on Friday, October 17 at Grand Hotel Detroit."
            " See you there!",
        ),
        (
            MessageType.PERSONALIZED_AGENDA,
            "Hi Anna, your agenda for Builders Summit 2025, Friday, October 17:\n"
            "09:00 Pricing jobs that pay, Room 12",
        ),
        (
            MessageType.CHECK_IN_REMINDER_NIGHT_BEFORE,
            "Hi Anna, Builders Summit 2025 is tomorrow at 09:00, Grand Hotel Detroit. See you at check-in!",
        ),
        (
            MessageType.CHECK_IN_REMINDER_1_HOUR,
            "Hi Anna, Builders Summit 2025 starts at 09:00, Grand Hotel Detroit. Please check in when you arrive.",
        ),
        (
            MessageType.CHECK_IN_REMINDER_EVENT_START,
            "Hi Anna, Builders Summit 2025 is starting at Grand Hotel Detroit."
            " Please check in if you haven't yet. Enjoy!",
        ),
        (
            MessageType.SPEAKER_ALERT,
            "Hi Anna, coming up at 09:00: Pricing jobs that pay with Maria Gonzalez, Room 12.",
        ),
        (MessageType.SPONSOR_RECOMMENDATION, "Break time, Anna! Say hello to Acme Tools. We go on at 10:30."),
        (
            MessageType.PEER_MATCH_NOTIFICATION,
            "Hi Anna, somebody to meet now: Christopher Cruz of Cruz & Sons Plumbing, Room 12."
            " Look for each other and say hello!",
        ),
        (
            MessageType.PCR_REQUEST,
            "Hi Anna, how was Pricing jobs that pay with Maria Gonzalez?"
            " Please reply with a number from 1 (poor) to 10 (great).",
        ),
        (
            MessageType.POST_EVENT_WRAP_UP,
            "Thank you for coming to Builders Summit 2025, Anna! What will you take home? Just reply to tell us.",
        ),
    ],
)
def test_every_planned_message_has_a_text_that_fits_one_sms(message_type, text):
    assert planned_text(message_type, AGENDA) == text
    assert len(text) <= 160
    assert set(text) <= GSM_7


@pytest.mark.parametrize("message_type", MessageType)
def test_an_agenda_without_speakers_rooms_and_sponsors_still_makes_whole_sentences(message_type):
    text = planned_text(message_type, BARE_AGENDA, replace(EVENT, location=None))
    assert text
    assert not [flaw for flaw in ("None", "  ", " ,", " .", ",.", "..", " at.", "with.", " of.") if flaw in text]


@pytest.mark.parametrize("message_type", MessageType)
def test_a_message_scheduled_by_hand_needs_no_data_for_its_default_text(message_type):
    text = compose_text(message_type, None, variables_for(NOBODY, replace(EVENT, location=None), {}))
    assert "there" in text
    assert set(text) <= GSM_7
    assert not [flaw for flaw in ("None", "  ", " ,", " .", ",.", "..") if flaw in text]


def test_the_specifications_speaker_alert_needs_only_its_two_fields():
    data = {"speaker_name": "John Doe", "session_title": "AI in Business"}
    text = compose_text(MessageType.SPEAKER_ALERT, None, variables_for(ANNA, EVENT, data))
    assert text == "Hi Anna, coming up: AI in Business with John Doe."


@pytest.mark.parametrize(
    ("stored", "written"),
    [("00:05", "12:05 AM"), ("09:00", "9:00 AM"), ("12:30", "12:30 PM"), ("23:59", "11:59 PM"), ("noon", "noon")],
)
def test_times_of_day_are_written_on_a_clock_of_twelve_hours_where_the_installation_says_so(stored, written):
    data = {"speaker_name": "John Doe", "session_title": "AI", "session_time": stored}
    variables = variables_for(ANNA, EVENT, {**data, "agenda": [{"time": stored, "title": "AI"}]}, 12)
    assert (variables["session_time"], variables["agenda"][0]["time"]) == (written, written)
    assert variables_for(ANNA, EVENT, data)["session_time"] == stored


def test_an_agenda_of_several_days_names_each_day_and_counts_what_is_left_out():
    agenda = [slot(f"s{n:02}", 24 * (n // 10) + n % 10, SessionKind.SESSION, title=f"Talk {n}") for n in range(14)]
    text = planned_text(MessageType.PERSONALIZED_AGENDA, agenda)
    assert "17:\nFri, Oct 17\n09:00 Talk 0, Room 12\n10:00 Talk 1, Room 12\n" in text
    assert "\nSat, Oct 18\n09:00 Talk 10, Room 12\n" in text
    assert text.endswith("Talk 11, Room 12\nand 2 more")


@pytest.mark.parametrize("message_type", MessageType)
def test_the_known_variables_are_those_that_a_planned_message_has(message_type):
    plan = plan_for(EVENT, AGENDA, ATTENDEE, {"n": PEER})
    message = next(each for each in plan if each.message_type == message_type)
    assert set(variables_for(ANNA, EVENT, message.personalization_data)) == known_variables(message_type)
    check(TEMPLATES[message_type], known_variables(message_type))


@pytest.mark.parametrize(
    ("contractor", "first_name"),
    [
        ({"name": "Anna Lee", "first_name": "Annie"}, "Annie"),
        ({"name": "Anna Lee", "first_name": None}, "Anna"),
        ({"name": " Anna Lee", "first_name": "  "}, "Anna"),
        ({"name": "", "first_name": ""}, "there"),
        ({}, "there"),
    ],
)
def test_everybody_is_greeted_by_something(contractor, first_name):
    variables = variables_for(contractor, EVENT, {})
    assert compose_text(MessageType.SPEAKER_ALERT, "Hi {{ first_name }}", variables) == f"Hi {first_name}"


def test_a_messages_own_data_wins_but_a_blank_hides_nothing():
    data = {"event_name": "The Summit", "event_location": " ", "company_name": None, "sponsor_name": "", "agenda": []}
    variables = variables_for(ANNA, EVENT, data)
    assert variables["event_name"] == "The Summit"
    assert variables["event_location"] == "Grand Hotel Detroit"
    assert variables["company_name"] == "Lee Roofing"
    assert variables["sponsor_name"] is None
    assert variables["agenda"] is None


@pytest.mark.parametrize(
    "content", ["Your session starts in 15 minutes!", "100 % off {today} \n", "  two  spaces  ", "𝓗i"]
)
def test_content_without_liquid_goes_out_untouched(content):
    assert compose_text(MessageType.SPEAKER_ALERT, content, {}) == content


def test_content_with_liquid_is_personalized():
    content = "Hi {{ first_name }}{% if sponsor_name %}, visit {{ sponsor_name }}{% endif %}!"
    assert compose_text(MessageType.SPEAKER_ALERT, content, variables_for(ANNA, EVENT, {})) == "Hi Anna!"


def test_a_variable_that_the_message_does_not_have_is_named():
    with pytest.raises(TemplateError, match="uses 'session_titel', which this message does not have") as caught:
        compose_text(MessageType.SPEAKER_ALERT, "{{ session_titel }}", variables_for(ANNA, EVENT, {}))
    assert caught.value.variable == "session_titel"


def test_an_empty_text_is_never_sent():
    with pytest.raises(TemplateError, match="empty text"):
        compose_text(MessageType.SPEAKER_ALERT, "{% if sponsor_name %}Visit us{% endif %}", {})
