"""The last word about consent to a channel decides whether a promotional message goes."""

from __future__ import annotations

from messages.due_messages import (
    DAY,
    FOLLOW_UP,
    NOON,
    OpenApp,
    Provider,
    follow_up_to,
    on_terms,
    outcome_of,
    person_of,
)
from support.app import ledger
from tidings.clock import ManualClock
from tidings.messages.gate.terms import ConsentNeed, IfBlocked, promotional
from tidings.messages.statuses import Reason

CASES: dict[str, tuple[ConsentNeed, list[tuple[str, bool, int]], Reason | None]] = {
    "never asked": (ConsentNeed.GRANTED, [], Reason.NO_CONSENT),
    "given": (ConsentNeed.GRANTED, [("sms", True, 0)], None),
    "given for another channel": (ConsentNeed.GRANTED, [("email", True, 0)], Reason.NO_CONSENT),
    "taken back": (ConsentNeed.GRANTED, [("sms", True, 2), ("sms", False, 1)], Reason.CONSENT_REVOKED),
    "given again": (ConsentNeed.GRANTED, [("sms", False, 2), ("sms", True, 1)], None),
    "an older consent, imported after it was taken back": (
        ConsentNeed.GRANTED,
        [("sms", False, 1), ("sms", True, 2)],
        Reason.CONSENT_REVOKED,
    ),
    "given on a day to come, and taken back": (
        ConsentNeed.GRANTED,
        [("sms", True, -9000), ("sms", False, 0)],
        Reason.CONSENT_REVOKED,
    ),
    "nothing said where nothing is needed": (ConsentNeed.NOT_REVOKED, [], None),
    "taken back where nothing is needed": (ConsentNeed.NOT_REVOKED, [("sms", False, 0)], Reason.CONSENT_REVOKED),
    "taken back for another channel": (ConsentNeed.NOT_REVOKED, [("email", False, 0)], None),
    "taken back for promotions": (ConsentNeed.NONE, [("sms", False, 0)], None),
}
"""Each is somebody's: a consent need, words (channel, granted, days ago), and what stops the message."""


async def test_the_last_word_about_consent_to_the_channel_counts(open_app: OpenApp, database_url: str) -> None:
    app = await open_app(
        database_url=database_url,
        clock=ManualClock(NOON),
        providers={"sms": Provider()},
        frequency_caps="off",
        quiet_hours="off",
    )
    stopped: dict[str, str | None] = {}
    for number, (case, (needed, words, _)) in enumerate(CASES.items()):
        person = await person_of(app, phone=f"+121255501{number:02}", email=None)
        for channel, granted, days_ago in words:
            await app.consents.record(person, granted=granted, channel=channel, at=NOON - days_ago * DAY)
        message = await follow_up_to(app, person)
        on_terms(app, FOLLOW_UP, promotional(IfBlocked.DEFER, needed))
        await outcome_of(app, FOLLOW_UP, message.id)
        [line] = await ledger(app, FOLLOW_UP, message.id)
        stopped[case] = None if line.outcome == "sent" else line.reason
    assert stopped == {case: reason for case, (_, _, reason) in CASES.items()}
