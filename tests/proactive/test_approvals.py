"""The approval queue: whoever is little trusted gets what a person approved, or nothing."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from proactive.desk import NOW, Desk, trigger
from tidings.errors import Conflict, InvalidInput, NotFound
from tidings.features.proactive.models import Approval, ProactiveMessage
from tidings.features.proactive.states import Suggestion
from tidings.messages.gate.trust import change_trust
from tidings.messages.statuses import Reason, Status

DEADLINE = timedelta(hours=24)


@pytest.mark.parametrize(
    ("trust", "approval"),
    [(None, Approval.NOT_NEEDED), (40, Approval.NOT_NEEDED), (39.9, Approval.PENDING), (0, Approval.PENDING)],
)
async def test_messages_to_contacts_below_the_threshold_need_approval(
    desk: Desk, trust: float | None, approval: Approval
) -> None:
    await desk.contact(trust=trust)
    row = await desk.made(desk.proactive())
    assert row.approval == approval
    assert row.approval_until == (NOW + DEADLINE if approval is Approval.PENDING else None)
    assert row.context_data["trust"] == (50 if trust is None else trust)
    assert len(await desk.app.proactive.deliver_waiting()) == (approval is Approval.NOT_NEEDED)


async def waiting(desk: Desk, trust: float = 10) -> ProactiveMessage:
    """A message that needs approval."""
    await desk.contact(trust=trust)
    return await desk.made(desk.proactive())


async def test_an_approved_message_goes_in_the_next_cycle_whatever_the_contacts_trust(desk: Desk) -> None:
    row = await waiting(desk, trust=0)
    assert [one["id"] for one in await desk.app.proactive.approvals.waiting()] == [row.id]
    desk.clock.move(timedelta(hours=2))
    for _ in range(2):  # twice is harmless
        approved = await desk.app.proactive.approvals.approve(row.id, "Ben Bako")
    assert (approved.approval, approved.decided_by, approved.status) == (
        Approval.APPROVED,
        "Ben Bako",
        Status.WAITING,
    )
    assert approved.decided_at == NOW + timedelta(hours=2)
    assert await desk.app.proactive.approvals.waiting() == []
    await desk.app.proactive.deliver_waiting()
    assert await desk.deliver(row.id) == "sent"


async def test_a_rejected_message_never_goes_and_says_who_said_no_and_why(desk: Desk) -> None:
    row = await waiting(desk)
    for _ in range(2):
        rejected = await desk.app.proactive.approvals.reject(row.id, "Ben Bako", "They asked for a pause")
    assert (rejected.status, rejected.status_reason) == (Status.SKIPPED, Reason.REJECTED)
    assert (rejected.decided_by, rejected.decision_note) == ("Ben Bako", "They asked for a pause")
    assert await desk.lines(row.id) == [("skipped", "rejected")]
    assert await desk.app.proactive.approvals.waiting() == []
    assert await desk.app.proactive.deliver_waiting() == []
    with pytest.raises(Conflict, match="skipped already"):
        await desk.app.proactive.approvals.approve(row.id, "Cy")


@pytest.mark.parametrize("by", ["evaluation", "cycle"])
async def test_a_message_that_nobody_approved_in_time_is_skipped(desk: Desk, by: str) -> None:
    row = await waiting(desk)

    async def look() -> None:
        if by == "cycle":
            await desk.app.proactive.deliver_waiting()
        else:
            await desk.app.proactive.evaluate_proactive_triggers()

    desk.clock.move(DEADLINE - timedelta(seconds=1))
    await look()
    assert (await desk.app.proactive.get_message(row.id)).status == Status.WAITING
    desk.clock.move(timedelta(seconds=1))
    assert await desk.app.proactive.approvals.waiting() == []
    with pytest.raises(Conflict, match="until 2026-03-11 15:00 UTC"):
        await desk.app.proactive.approvals.approve(row.id, "Ben")
    await look()
    stored = await desk.app.proactive.get_message(row.id)
    assert (stored.status, stored.status_reason) == (Status.SKIPPED, Reason.NOT_APPROVED)
    assert await desk.lines(row.id) == [("skipped", "not_approved")]


async def test_what_is_of_no_use_any_more_is_not_offered_for_approval(desk: Desk) -> None:
    await desk.contact(trust=10)
    brief = trigger(Suggestion("x", "why", "Hi", useful_until=NOW + timedelta(hours=2)))
    row = await desk.made(desk.proactive(brief))
    desk.clock.move(timedelta(hours=2))
    assert await desk.app.proactive.approvals.waiting() == []
    await desk.app.proactive.deliver_waiting()
    assert (await desk.app.proactive.get_message(row.id)).status_reason == Reason.EXPIRED


@pytest.mark.both_databases
async def test_of_an_approval_and_a_rejection_at_once_one_counts(desk: Desk) -> None:
    row = await waiting(desk)
    approvals = desk.app.proactive.approvals
    answers = await asyncio.gather(
        approvals.approve(row.id, "Ben"), approvals.reject(row.id, "Cy"), return_exceptions=True
    )
    assert len([answer for answer in answers if isinstance(answer, Conflict)]) == 1
    stored = await desk.app.proactive.get_message(row.id)
    assert (stored.status, stored.approval) in {(Status.WAITING, "approved"), (Status.SKIPPED, "rejected")}


async def test_what_needs_no_approval_or_does_not_exist_cannot_be_approved(desk: Desk) -> None:
    await desk.contact()
    row = await desk.made(desk.proactive())
    approvals = desk.app.proactive.approvals
    for call in (approvals.approve(row.id, "Ben"), approvals.reject(row.id, "Ben")):
        with pytest.raises(Conflict, match="needs no approval"):
            await call
    with pytest.raises(NotFound, match="99"):
        await desk.app.proactive.approvals.approve(99, "Ben")
    with pytest.raises(InvalidInput, match="by"):
        await desk.app.proactive.approvals.approve(row.id, " ")


async def test_a_contact_who_lost_all_trust_since_is_not_written_to_without_approval(desk: Desk) -> None:
    contact = await desk.contact(trust=45)
    row = await desk.made(desk.proactive())
    await desk.app.proactive.deliver_waiting()
    async with desk.app.work.begin() as unit:
        await change_trust(unit.session, contact, -30, "test", NOW)
    await desk.deliver(row.id)
    stored = await desk.app.proactive.get_message(row.id)
    assert (stored.status, stored.status_reason) == (Status.SKIPPED, Reason.LOW_TRUST)
