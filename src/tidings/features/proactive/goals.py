"""Goals and their checklists: what contacts want to reach, and how far they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from tidings.errors import Conflict, NotFound
from tidings.feature import parse
from tidings.features.proactive.models import ChecklistItem, Goal
from tidings.features.proactive.schemas import MAX_ITEMS, ChecklistItemIn, GoalIn, ProgressIn
from tidings.messages.contacts.contractors import find_contractor
from tidings.work import Work


class Goals:
    """The verbs of goals. Input may be models or mappings; times are UTC."""

    def __init__(self, work: Work) -> None:
        self._work = work

    async def create(self, contractor_id: int, goal: GoalIn | Mapping[str, Any]) -> Goal:
        """Stores a goal with its checklist. Raises InvalidInput, and NotFound for an unknown contact."""
        wanted, now = parse(GoalIn, goal), self._work.clock.now()
        async with self._work.begin() as unit:
            await find_contractor(unit.session, contractor_id)
            stored = Goal(
                **wanted.model_dump(exclude={"checklist"}),
                contractor_id=contractor_id,
                last_progress_at=now,
                created_at=now,
                updated_at=now,
                checklist=[ChecklistItem(title=title, created_at=now) for title in wanted.checklist],
            )
            unit.session.add(stored)
        return stored

    async def record_progress(self, goal_id: int, progress: int | None = None) -> Goal:
        """Notes that a goal came forward, to so many percent if that is known.

        Raises InvalidInput, NotFound, and Conflict when the goal is completed.
        """
        change, now = parse(ProgressIn, {"progress": progress}), self._work.clock.now()
        async with self._work.begin() as unit:
            goal = await find_goal(unit.session, goal_id, lock=True)
            _require_open(goal)
            if change.progress is not None:
                goal.progress = change.progress
            goal.last_progress_at = goal.updated_at = now
            return goal

    async def complete(self, goal_id: int) -> Goal:
        """The goal is reached; saying so again is harmless. Raises NotFound."""
        async with self._work.begin() as unit:
            goal = await find_goal(unit.session, goal_id, lock=True)
            if goal.completed_at is None:
                now = self._work.clock.now()
                goal.progress, goal.completed_at, goal.last_progress_at, goal.updated_at = 100, now, now, now
            return goal

    async def add_checklist_item(self, goal_id: int, item: ChecklistItemIn | Mapping[str, Any]) -> Goal:
        """Adds a step. Raises InvalidInput, NotFound, and Conflict when the goal is completed or has 100 steps."""
        wanted, now = parse(ChecklistItemIn, item), self._work.clock.now()
        async with self._work.begin() as unit:
            goal = await find_goal(unit.session, goal_id, lock=True)
            _require_open(goal)
            if len(goal.checklist) >= MAX_ITEMS:
                raise Conflict(f"goal {goal.id} has {MAX_ITEMS} checklist items already, the most there can be")
            goal.checklist.append(ChecklistItem(title=wanted.title, created_at=now))
            goal.updated_at = now
            return goal

    async def complete_checklist_item(self, item_id: int) -> Goal:
        """A step is taken, which is progress; saying so again is harmless. Raises NotFound."""
        async with self._work.begin() as unit:
            goal_id = await unit.session.scalar(select(ChecklistItem.goal_id).where(ChecklistItem.id == item_id))
            if goal_id is None:
                raise NotFound("checklist item", item_id)
            goal = await find_goal(unit.session, goal_id, lock=True)
            item = next(item for item in goal.checklist if item.id == item_id)
            if item.completed_at is None:
                now = self._work.clock.now()
                item.completed_at = goal.last_progress_at = goal.updated_at = now
            return goal

    async def get(self, goal_id: int) -> Goal:
        """One goal with its checklist. Raises NotFound."""
        async with self._work.read() as session:
            return await find_goal(session, goal_id)

    async def list(
        self,
        *,
        contractor_id: int | None = None,
        completed: bool | None = None,
        after_id: int = 0,
        limit: int = 100,
    ) -> Sequence[Goal]:
        """Goals in order of id from the one after `after_id`: of one contact or all, completed or not."""
        query = select(Goal).where(Goal.id > after_id)
        if contractor_id is not None:
            query = query.where(Goal.contractor_id == contractor_id)
        if completed is not None:
            query = query.where(Goal.completed_at.is_not(None) if completed else Goal.completed_at.is_(None))
        async with self._work.read() as session:
            return (await session.scalars(query.order_by(Goal.id).limit(limit))).all()


async def find_goal(session: AsyncSession, goal_id: int, *, lock: bool = False) -> Goal:
    """The goal; with `lock` nobody else changes it until the unit of work ends. Raises NotFound."""
    query = select(Goal).where(Goal.id == goal_id)
    goal = await session.scalar(query.with_for_update() if lock else query)
    if goal is None:
        raise NotFound("goal", goal_id)
    return goal


def _require_open(goal: Goal) -> None:
    if goal.completed_at is not None:
        raise Conflict(f"goal {goal.id} is completed")
