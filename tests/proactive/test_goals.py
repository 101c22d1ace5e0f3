"""Goals and their checklists: what each verb does, and what it refuses in which words."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from proactive.desk import DAY, NOW, Desk
from tidings.errors import Conflict, InvalidInput, NotFound


async def test_a_goal_is_stored_with_its_steps_in_their_order(desk: Desk) -> None:
    contact = await desk.contact()
    goal = await desk.app.proactive.goals.create(
        contact, {"title": "Win three clients", "target_date": "2026-06-01", "checklist": ["Call Ben", "Send offer"]}
    )
    stored = await desk.app.proactive.goals.get(goal.id)
    assert (stored.contractor_id, stored.title, stored.progress) == (contact, "Win three clients", 0)
    assert [item.title for item in stored.checklist] == ["Call Ben", "Send offer"]
    assert stored.last_progress_at == stored.created_at == NOW


async def test_progress_is_noted_with_its_moment_with_or_without_a_number(desk: Desk) -> None:
    goal = await desk.app.proactive.goals.create(await desk.contact(), {"title": "Grow"})
    desk.clock.move(DAY)
    assert (await desk.app.proactive.goals.record_progress(goal.id, 40)).progress == 40
    desk.clock.move(DAY)
    stored = await desk.app.proactive.goals.record_progress(goal.id)
    assert (stored.progress, stored.last_progress_at) == (40, NOW + 2 * DAY)


async def test_a_step_taken_is_progress_and_taking_it_again_changes_nothing(desk: Desk) -> None:
    goal = await desk.app.proactive.goals.create(await desk.contact(), {"title": "Grow", "checklist": ["A", "B"]})
    first = goal.checklist[0].id
    desk.clock.move(DAY)
    await desk.app.proactive.goals.complete_checklist_item(first)
    desk.clock.move(DAY)
    stored = await desk.app.proactive.goals.complete_checklist_item(first)
    assert stored.last_progress_at == NOW + DAY
    assert [item.completed_at for item in stored.checklist] == [NOW + DAY, None]


async def test_a_completed_goal_stays_as_it_was_completed(desk: Desk) -> None:
    goal = await desk.app.proactive.goals.create(await desk.contact(), {"title": "Grow"})
    done = await desk.app.proactive.goals.complete(goal.id)
    assert (done.progress, done.completed_at) == (100, NOW)
    desk.clock.move(DAY)
    assert (await desk.app.proactive.goals.complete(goal.id)).completed_at == NOW
    with pytest.raises(Conflict, match="completed"):
        await desk.app.proactive.goals.record_progress(goal.id, 50)
    with pytest.raises(Conflict, match="completed"):
        await desk.app.proactive.goals.add_checklist_item(goal.id, {"title": "One more"})


async def test_a_checklist_grows_up_to_a_hundred_steps(desk: Desk) -> None:
    steps = [f"Step {number}" for number in range(99)]
    goal = await desk.app.proactive.goals.create(await desk.contact(), {"title": "Grow", "checklist": steps})
    stored = await desk.app.proactive.goals.add_checklist_item(goal.id, {"title": "Last"})
    assert [item.title for item in stored.checklist][-1] == "Last"
    with pytest.raises(Conflict, match="100"):
        await desk.app.proactive.goals.add_checklist_item(goal.id, {"title": "Too many"})


@pytest.mark.both_databases
async def test_steps_taken_at_the_same_time_are_all_kept(desk: Desk) -> None:
    goal = await desk.app.proactive.goals.create(
        await desk.contact(), {"title": "Grow", "checklist": [f"Step {number}" for number in range(8)]}
    )
    await asyncio.gather(*(desk.app.proactive.goals.complete_checklist_item(item.id) for item in goal.checklist))
    assert all(item.completed_at for item in (await desk.app.proactive.goals.get(goal.id)).checklist)


async def test_goals_are_listed_by_contact_and_by_whether_they_are_reached_page_by_page(desk: Desk) -> None:
    ada, ben = await desk.contact(), await desk.contact()
    for contact, title in ((ada, "A"), (ben, "B"), (ada, "C"), (ada, "D")):
        await desk.app.proactive.goals.create(contact, {"title": title})

    async def titles(**filters: Any) -> list[str]:
        return [goal.title for goal in await desk.app.proactive.goals.list(**filters)]

    [first, *_] = await desk.app.proactive.goals.list(contractor_id=ada)
    await desk.app.proactive.goals.complete(first.id)
    assert await titles() == ["A", "B", "C", "D"]
    assert await titles(contractor_id=ada) == ["A", "C", "D"]
    assert await titles(contractor_id=ada, completed=True) == ["A"]
    assert await titles(completed=False, limit=2) == ["B", "C"]
    assert await titles(after_id=first.id, limit=1) == ["B"]


async def test_what_does_not_exist_or_cannot_be_used_is_named(desk: Desk) -> None:
    contact = await desk.contact()
    goals = desk.app.proactive.goals
    for call in (
        goals.create(99, {"title": "Grow"}),
        goals.get(99),
        goals.record_progress(99, 1),
        goals.complete(99),
        goals.add_checklist_item(99, {"title": "A"}),
        goals.complete_checklist_item(99),
    ):
        with pytest.raises(NotFound, match="99"):
            await call
    for goal, field in (
        ({}, "title"),
        ({"title": "Grow", "progress": 101}, "progress"),
        ({"title": "Grow", "checklist": ["A", ""]}, "checklist.1"),
        ({"title": "Grow", "due": "2026-06-01"}, "due"),
    ):
        with pytest.raises(InvalidInput) as refused:
            await goals.create(contact, goal)
        assert refused.value.field == field
    assert not await goals.list()
