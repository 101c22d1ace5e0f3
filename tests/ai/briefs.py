"""Briefs as the features give them, for the tables of good and bad answers."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

from tidings.ai.base import Brief

ESTIMATE = Brief(
    task="follow_up",
    template="Hi Ada, just checking in on the roof estimate of $1,200 we sent on Oct 17. Any questions?",
    facts={
        "first_name": "Ada",
        "last_name": "Lovelace",
        "company": "Analytical Roofing",
        "estimate": {"amount": Decimal("1200.00"), "currency": "USD", "sent_at": "2025-10-17T15:00:00Z"},
    },
    tone="friendly",
    hints={"last_topic": "she asked whether slate tiles are possible"},
)

CALL = Brief(
    task="follow_up",
    template=(
        "Hello Jean-Luc, a reminder of your call with Ms. O'Brien from Tidings on Friday, October 17 at 3:00 PM. "
        "It takes 30 minutes. Join at https://meet.example/tidings-42?room=B12"
    ),
    facts={
        "name": "Jean-Luc Müller",
        "rep": "Siobhán O'Brien",
        "duration_minutes": 30,
        "starts_at": "2025-10-17T15:00",
    },
)

EVENT = Brief(
    task="proactive",
    template=(
        "Since you work with slate, the talk 'AI in Business' by John Doe at 14:30 in Hall B on Saturday may be of "
        "use to you. Reply STOP to opt out."
    ),
    facts={"first_name": "Grace", "trade": "slate roofing", "talk": {"speaker": "John Doe", "room": "Hall B"}},
)

SHOP = Brief(
    task="proactive",
    template=(
        "Hi Zoë! Your cart with 2 iPhone cases is still here. Use code FALL20 for 20% off until tomorrow: "
        "https://shop.example/c/9 or call (810) 555-0123."
    ),
    facts={"customer": "Zoë", "items": [{"title": "iPhone case", "count": 2}], "phone": "+18105550123"},
)

ROUTINE = Brief(
    task="follow_up",
    template="Time for your 2nd furnace check, due in twelve weeks. Write to care@heat.example to choose a day.",
    facts={"contact_name": "Bo", "visits": 2, "due": datetime(2026, 3, 2, 9, 0, tzinfo=UTC)},
)

PLAIN = Brief(
    task="follow_up",
    template="Did you have a chance to talk to Bob about the partner programme?",
    facts={"first_name": "Ada", "partner": {"contact": "Bob Hopper", "company": "Hopper Inc"}},
)
