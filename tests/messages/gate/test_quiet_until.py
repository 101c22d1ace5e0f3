"""Whoever plans turns for many may ask when quiet hours would let a message go, and spares its turn until then."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from tidings.messages.gate.policy import Defer, Standing, decide, quiet_until
from tidings.messages.gate.quiet_hours import QuietHours
from tidings.messages.gate.rules import Cap, Rules
from tidings.messages.gate.terms import TRANSACTIONAL, ConsentNeed, IfBlocked, promotional
from tidings.messages.kind import Message
from tidings.messages.statuses import Reason

NEW_YORK, BERLIN = "+12125550123", "+4930123456"
LATE = datetime(2026, 11, 25, 3, tzinfo=UTC)
"""Ten in the evening in New York, four in the morning in Berlin."""

MORNING = LATE + timedelta(hours=10)
RULES = Rules(QuietHours.parse("21:00-08:00"), (Cap(1, timedelta(days=1)),))
PROMOTION = promotional(IfBlocked.DEFER, ConsentNeed.GRANTED)
HOUR = timedelta(hours=1)

CASES: dict[str, tuple[dict[str, Any], datetime | None]] = {
    "at night": ({}, MORNING),
    "by day": ({"now": MORNING}, None),
    "a moment before the morning": ({"now": MORNING - timedelta(microseconds=1)}, MORNING),
    "a number of another zone": ({"phone": BERLIN}, LATE + 4 * HOUR),
    "the recipient's own zone before the number's": ({"phone": BERLIN, "timezone": "America/New_York"}, MORNING),
    "no number: the tenant's zone": (
        {"phone": None, "rules": replace(RULES, timezone="Europe/Berlin")},
        LATE + 4 * HOUR,
    ),
    "no number: the installation's zone": ({"phone": None}, LATE + 5 * HOUR),
    "it is dropped at night": ({"terms": promotional(IfBlocked.DROP, ConsentNeed.GRANTED)}, None),
    "it goes at night": ({"terms": TRANSACTIONAL}, None),
    "no quiet hours": ({"rules": Rules()}, None),
    "of use until the morning": ({"not_after": MORNING}, MORNING),
    "of no use in the morning": ({"not_after": MORNING - HOUR}, None),
    "no moment suits every zone": ({"rules": Rules(QuietHours.parse("08:00-07:59")), "phone": "+18005550123"}, None),
}
"""What differs from a promotion to New York at night, and until when it is to wait; None: let it have its turn."""


def asked(**changes: Any) -> Defer | None:
    given = {
        "rules": RULES,
        "terms": PROMOTION,
        "now": LATE,
        "phone": NEW_YORK,
        "timezone": None,
        "not_after": None,
        **changes,
    }
    return quiet_until(given.pop("rules"), given.pop("terms"), given.pop("now"), **given)


def test_a_message_waits_only_for_the_end_of_quiet_hours() -> None:
    for case, (changes, until) in CASES.items():
        answer = asked(**changes)
        assert (answer.until if answer else None) == until, case
        assert answer is None or answer.reason is Reason.QUIET_HOURS, case


def test_it_says_the_hours_and_the_zones_as_the_gate_does() -> None:
    answer = asked()
    assert answer is not None
    message = Message(1, 1, LATE, 1, "sms", NEW_YORK, "shop-message-1-1", {}, PROMOTION)
    at_its_turn = decide(message, Standing(consent=True), RULES, LATE)
    assert isinstance(at_its_turn, Defer)
    assert (at_its_turn.until, at_its_turn.reason) == (answer.until, answer.reason)
    assert answer.inputs == {"quiet_hours": at_its_turn.inputs["quiet_hours"]}
