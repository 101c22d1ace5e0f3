"""Replies as people who run Tidings read them: all, or those that a person has to look at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from tidings.errors import NotFound
from tidings.fields import MAX_ID
from tidings.messages.inbound.stored import UNREADABLE, StoredReply
from tidings.work import Work

PAGE = 100


@dataclass(frozen=True, slots=True)
class ReplyPage:
    """Some replies, newest first; `before` is where the next page begins, None at the end."""

    rows: Sequence[StoredReply]
    before: int | None


class ReplyList:
    """Replies for other programs: `t.replies` of the facade."""

    def __init__(self, work: Work) -> None:
        self._work = work

    async def list(
        self,
        *,
        tenant: str | None = None,
        contact_id: int | None = None,
        needs_person: bool = False,
        before: int | None = None,
        limit: int = PAGE,
    ) -> ReplyPage:
        """Replies to a tenant, of a contact, or those that a person has to look at; newest first.

        A person is needed for an unhappy reply, for one that may mean STOP, and for one whose sender cannot be read.
        """
        query = (
            select(StoredReply)
            .where(StoredReply.id < (before or MAX_ID))
            .order_by(StoredReply.id.desc())
            .limit(limit + 1)
        )
        if needs_person:
            query = query.where(StoredReply.needs_person)
        if tenant is not None:
            query = query.where(StoredReply.tenant == tenant)
        if contact_id is not None:
            query = query.where(StoredReply.contact_id == contact_id)
        async with self._work.read() as session:
            rows = (await session.scalars(query)).all()
        return ReplyPage(rows[:limit], rows[limit - 1].id if len(rows) > limit else None)

    async def settle(self, reply_id: int) -> StoredReply:
        """A person has looked at a reply. Raises NotFound.

        Whether one that left it open meant STOP is decided about its opt-out, which also settles the reply.
        """
        async with self._work.begin() as unit:
            row = await unit.session.get(StoredReply, reply_id, with_for_update=True)
            if row is None:
                raise NotFound("reply", reply_id)
            row.needs_person = False
            return row


async def count_unreadable(session: AsyncSession) -> int:
    """Replies whose sender cannot be read, and that nobody has looked at."""
    query = select(func.count()).where(StoredReply.needs_person, StoredReply.action_taken == UNREADABLE)
    return await session.scalar(query) or 0
