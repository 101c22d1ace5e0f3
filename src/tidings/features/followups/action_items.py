"""Action items: what contractors have to do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from tidings.errors import NotFound
from tidings.feature import parse
from tidings.features.followups.models import ActionItem
from tidings.features.followups.schemas import ActionItemIn
from tidings.messages.contacts.contractors import find_contractor
from tidings.work import Work


class ActionItems:
    """The verbs of action items."""

    def __init__(self, work: Work) -> None:
        self._work = work

    async def create(self, item: ActionItemIn | Mapping[str, Any]) -> ActionItem:
        """Stores an action item. Raises InvalidInput and NotFound."""
        wanted = parse(ActionItemIn, item)
        now = self._work.clock.now()
        async with self._work.begin() as unit:
            await find_contractor(unit.session, wanted.contractor_id)
            row = ActionItem(**wanted.model_dump(), created_at=now, updated_at=now)
            unit.session.add(row)
            await unit.session.flush()
            return row

    async def complete(self, action_item_id: int) -> ActionItem:
        """Notes that it is done. Follow-ups about it with skip_if_completed are skipped, and their series end.

        Doing it again is harmless. Raises NotFound.
        """
        return await self._set_completed(action_item_id, done=True)

    async def reopen(self, action_item_id: int) -> ActionItem:
        """Notes that it is not done after all; what was skipped stays so. Raises NotFound."""
        return await self._set_completed(action_item_id, done=False)

    async def get(self, action_item_id: int) -> ActionItem:
        """One action item. Raises NotFound."""
        async with self._work.read() as session:
            return await find_action_item(session, action_item_id)

    async def list(
        self, *, contractor_id: int | None = None, completed: bool | None = None, after_id: int = 0, limit: int = 100
    ) -> Sequence[ActionItem]:
        """Action items in order of id, from the one after `after_id`: all, or only the (un)completed ones."""
        query = select(ActionItem).where(ActionItem.id > after_id)
        if contractor_id is not None:
            query = query.where(ActionItem.contractor_id == contractor_id)
        if completed is not None:
            done = ActionItem.completed_at.is_not(None)
            query = query.where(done if completed else ~done)
        async with self._work.read() as session:
            return (await session.scalars(query.order_by(ActionItem.id).limit(limit))).all()

    async def _set_completed(self, action_item_id: int, *, done: bool) -> ActionItem:
        now = self._work.clock.now()
        async with self._work.begin() as unit:
            row = await find_action_item(unit.session, action_item_id, lock=True)
            if done != (row.completed_at is not None):
                row.completed_at = now if done else None
                row.updated_at = now
            return row


async def find_action_item(session: AsyncSession, action_item_id: int, *, lock: bool = False) -> ActionItem:
    """The action item; with `lock` nobody else changes it until the unit of work ends. Raises NotFound."""
    row = await session.get(ActionItem, action_item_id, with_for_update=lock or None)
    if row is None:
        raise NotFound("action item", action_item_id)
    return row
