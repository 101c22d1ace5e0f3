"""Replies find the follow-up that they answer, by themselves and as they come in."""

from __future__ import annotations

import itertools
from datetime import timedelta
from typing import Any

from followups.conftest import NOW, Office
from tidings.clock import ManualClock
from tidings.messages.inbound.replies import IncomingReply, Received
from tidings.messages.statuses import Reason, Status

_numbers = itertools.count(1)


async def answer(office: Office, text: str, **more: Any) -> Received:
    values = {"provider": "n8n", "provider_message_id": f"in-{next(_numbers)}", "sender": "+18105550123", **more}
    return await office.app.inbound.receive_reply(IncomingReply(text=text, **values))


def minutes_pass(office: Office, minutes: int) -> None:
    assert isinstance(office.clock, ManualClock)
    office.clock.move(timedelta(minutes=minutes))


async def test_a_reply_is_stored_with_the_follow_up_that_it_answers(office: Office) -> None:
    other = await office.add_person(phone="+18105550124")
    theirs = await office.schedule(contractor_id=other)
    mine = await office.schedule()
    for row in (mine, theirs):
        assert await office.deliver(row) == "sent"
    minutes_pass(office, 12)
    received = await answer(office, "Great, thanks!")
    assert received.message == f"follow-up-{mine.id}"
    stored = await office.get(mine)
    assert (stored.response_text, stored.response_received_at) == ("Great, thanks!", NOW + timedelta(minutes=12))
    assert (stored.sentiment_score or 0) > 0.5
    assert stored.action_taken == received.action_taken
    assert (await office.get(theirs)).response_text is None


async def test_later_replies_are_kept_below_the_first_and_a_repeated_one_counts_once(office: Office) -> None:
    row = await office.schedule()
    await office.deliver(row)
    for text in ("Not now", "Maybe tomorrow", "Wonderful, thank you so much!"):
        minutes_pass(office, 5)
        await answer(office, text, provider_message_id=text)
    again = await answer(office, "Maybe tomorrow", provider_message_id="Maybe tomorrow")
    assert again.duplicate
    stored = await office.get(row)
    assert stored.response_text == "Not now\nMaybe tomorrow\nWonderful, thank you so much!"
    assert stored.response_received_at == NOW + timedelta(minutes=5)
    assert (stored.sentiment_score or 0) > 0.5


async def test_a_stop_is_stored_with_its_follow_up_and_ends_the_series(office: Office) -> None:
    row = await office.schedule(is_recurring=True, recurrence_interval_days=1)
    await office.deliver(row)
    following = await office.next_of(row)
    assert following is not None
    received = await answer(office, "STOP")
    stored = await office.get(row)
    assert (stored.response_text, stored.action_taken) == ("STOP", "opted_out")
    assert stored.sentiment_score is None, "a command is no opinion"
    assert received.message == f"follow-up-{row.id}"
    minutes_pass(office, 24 * 60)
    assert await office.deliver(following) == f"skipped: {Reason.OPTED_OUT.sentence}"
    ended = await office.get(following)
    assert (ended.status, ended.next_occurrence_id) == (Status.SKIPPED, None)
    await answer(office, "Sorry, wrong button")
    assert (await office.get(row)).action_taken == "opted_out"


async def test_a_reply_answers_the_follow_up_that_was_sent_last(office: Office) -> None:
    first = await office.schedule()
    await office.deliver(first)
    minutes_pass(office, 5)
    second = await office.schedule()
    await office.deliver(second)
    await answer(office, "Yes")
    assert (await office.get(first)).response_text is None
    assert (await office.get(second)).response_text == "Yes"


async def test_a_reply_to_what_a_person_sent_by_hand_finds_its_follow_up_too(office: Office) -> None:
    row = await office.schedule(scheduled_time=NOW + timedelta(days=1))
    await office.followups.mark_follow_up_sent(row.id)
    minutes_pass(office, 3)
    received = await answer(office, "Good talk")
    assert received.message == f"follow-up-{row.id}"
    assert (await office.get(row)).response_text == "Good talk"
