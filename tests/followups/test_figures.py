"""What the figures say: of each type of follow-up, and of each variant of an experiment."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from followups.conftest import NOW, Office
from tidings.clock import ManualClock
from tidings.errors import Conflict, InvalidInput, NotFound, TemplateError
from tidings.features.followups.models import FollowUp
from tidings.features.followups.rules.variants import pick
from tidings.messages.statuses import Reason, Status


async def reply(office: Office, row: FollowUp, text: str, minutes: int) -> None:
    assert row.sent_at is not None
    received = row.sent_at + timedelta(minutes=minutes)
    await office.followups.record_follow_up_response(row.id, {"response_text": text, "received_at": received})


def spring(**more: Any) -> dict[str, Any]:
    return {
        "name": "spring",
        "variants": [
            {"key": "plain", "message_template": "Hello {{ first_name }}", "weight": 2},
            {"key": "warm", "message_template": "Dear {{ first_name }}"},
        ],
        **more,
    }


@pytest.mark.both_databases
async def test_effectiveness_counts_replies_opinions_opt_outs_and_what_was_skipped_as_done(office: Office) -> None:
    person = await office.add_person(phone="+18105550124")
    rows = [await office.sent() for _ in range(5)]
    by_hand = await office.schedule(contractor_id=person)
    await office.followups.mark_follow_up_sent(by_hand.id)
    await reply(office, rows[0], "Great, thanks!", 10)
    await reply(office, rows[1], "This is terrible", 30)
    await reply(office, rows[2], "Love it!", 50)
    await reply(office, await office.sent(contractor_id=person, minutes_ago=90), "STOP", 1)
    too_old = await office.sent(minutes_ago=60 * 24 * 31)
    await reply(office, too_old, "Great!", 1)
    done = await office.schedule(followup_type="contract", action_item_id=await office.add_item())
    assert done.action_item_id is not None
    await office.followups.action_items.complete(done.action_item_id)
    await office.deliver(done)
    check_in, contract = await office.followups.figures.get_effectiveness()
    assert check_in.model_dump() == {
        "followup_type": "check_in",
        "sent": 7,
        "sent_by_hand": 1,
        "replied": 3,
        "reply_rate": round(3 / 7, 4),
        "positive_share": round(2 / 3, 4),
        "opt_outs": 1,
        "median_minutes_to_reply": 30.0,
        "skipped_because_done": 0,
        "ai_written": 0,
        "from_template": 6,
        "ai_share": 0.0,
    }
    assert (contract.followup_type, contract.sent, contract.skipped_because_done) == ("contract", 0, 1)
    assert (contract.reply_rate, contract.positive_share, contract.median_minutes_to_reply) == (0.0, None, None)
    assert [one.sent for one in await office.followups.figures.get_effectiveness(days=60)] == [8, 0]
    for days in (0, 3651):
        with pytest.raises(InvalidInput, match=f"days: is {days}"):
            await office.followups.figures.get_effectiveness(days)


@pytest.mark.both_databases
async def test_the_result_of_an_experiment_counts_people_and_says_what_can_be_told(office: Office) -> None:
    experiment = await office.followups.experiments.create(spring())
    people = [office.contractor_id]
    people += [await office.add_person(name=f"P {n}", phone=f"+1810555{n:04}") for n in range(200, 211)]
    rows = {}
    for person in people:
        rows[person] = await office.sent(contractor_id=person, experiment="spring", message_template=None)
        assert rows[person].variant == pick("spring", person, experiment.variants)["key"]
    plain = [person for person in people if rows[person].variant == "plain"]
    warm = [person for person in people if rows[person].variant == "warm"]
    assert plain
    assert warm
    # A second message to the same person is not a second person.
    await office.sent(contractor_id=plain[0], experiment="spring", message_template=None)
    await office.schedule(contractor_id=plain[0], experiment="spring", message_template=None)
    await reply(office, rows[plain[0]], "Great, thanks!", 10)
    await reply(office, rows[plain[1]], "No idea", 20)
    await reply(office, rows[warm[0]], "STOP", 1)
    result = await office.followups.experiments.get_result("spring")
    first, second = result.variants
    assert (first.key, first.sent, first.scheduled, first.replied) == ("plain", len(plain), 1, 2)
    assert (first.positive_replies, first.opt_outs, first.median_minutes_to_reply) == (1, 0, 15.0)
    assert first.reply_rate == round(2 / len(plain), 4)
    assert 0 < first.low < first.reply_rate < first.high < 1
    assert (second.key, second.sent, second.replied, second.opt_outs) == ("warm", len(warm), 0, 1)
    assert (second.low, second.median_minutes_to_reply) == (0.0, None)
    assert result.verdict.startswith("It is too early to tell")
    assert result.ended_at is None
    assert (await office.followups.experiments.end("spring")).ended_at == NOW
    assert (await office.followups.experiments.end("spring")).ended_at == NOW
    assert [one.name for one in await office.followups.experiments.list()] == ["spring"]


async def test_an_experiment_that_cannot_be_made_is_refused_by_name(local_office: Office) -> None:
    plain, warm = spring()["variants"]
    unusable: list[tuple[dict[str, Any], type[Exception], str]] = [
        ({"variants": [plain]}, InvalidInput, "variants: "),
        ({"variants": [plain, plain]}, InvalidInput, "variants.1.key: 'plain' is another variant's key"),
        ({"variants": [plain, warm | {"weight": 0}]}, InvalidInput, "variants.1.weight: "),
        ({"variants": [plain, warm | {"key": "a/b"}]}, InvalidInput, "variants.1.key: "),
        (
            {"variants": [plain, warm | {"message_template": "{{ x }}"}]},
            TemplateError,
            "variant 'warm': the template",
        ),
        ({"name": "no spaces"}, InvalidInput, "name: "),
        ({"names": "x"}, InvalidInput, "names: "),
    ]
    for values, error, sentence in unusable:
        with pytest.raises(error, match=f"^{sentence}"):
            await local_office.followups.experiments.create(spring(**values))
    assert await local_office.followups.experiments.list() == []
    await local_office.followups.experiments.create(spring())
    with pytest.raises(Conflict, match="there is an experiment spring already"):
        await local_office.followups.experiments.create(spring())
    for verb in (local_office.followups.experiments.end, local_office.followups.experiments.get_result):
        with pytest.raises(NotFound, match="there is no experiment autumn"):
            await verb("autumn")


async def test_the_variant_of_a_series_stays_with_it(office: Office) -> None:
    await office.followups.experiments.create(spring())
    row = await office.schedule(
        experiment="spring", message_template=None, is_recurring=True, recurrence_interval_days=7
    )
    await office.deliver(row)
    following = await office.next_of(row)
    assert following is not None
    assert (following.variant, following.experiment_id) == (row.variant, row.experiment_id)


async def test_the_stats_count_today_from_midnight_of_the_default_timezone(new_local_office: Any) -> None:
    office: Office = await new_local_office(ManualClock(NOW), default_timezone="America/New_York")
    today = await office.sent(minutes_ago=10 * 60 - 1)
    await office.sent(minutes_ago=10 * 60 + 1)
    skipped = await office.schedule()
    await office.set(skipped, status=Status.SKIPPED, status_reason=Reason.EXPIRED)
    stats = await office.followups.get_scheduler_stats()
    assert (stats.sent_today, stats.from_template_today, today.status) == (1, 1, Status.SENT)
    assert stats.by_status["skipped"] == 1
    assert (stats.due_now, stats.next_due) == (0, None)
