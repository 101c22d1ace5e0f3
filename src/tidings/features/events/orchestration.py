"""What happens by itself: every event is looked after once a minute."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from sqlalchemy import exists, select, update

from tidings.db.rows import locked_ids
from tidings.engine.jobs import Run
from tidings.features.events.jobs import Orchestrate
from tidings.features.events.models import Event, EventMessage, EventStatus
from tidings.features.events.plan_changes import clear_event
from tidings.features.events.schedule import make_schedules
from tidings.log import get_logger
from tidings.messages.statuses import Reason, Status
from tidings.work import Work

log = get_logger(__name__)


class Orchestration:
    """Handler of the queue event-orchestration."""

    def __init__(self, work: Work) -> None:
        self._work = work

    async def orchestrate(self, data: Orchestrate, run: Run) -> dict[str, int]:
        """Moves events on, plans changed ones again and clears cancelled ones. Returns how many of each."""
        moved = await self._move_on()
        changed = await self._ids(Event.agenda_version > Event.planned_version, alive=True)
        waiting = exists().where(EventMessage.event_id == Event.id, EventMessage.status == Status.SCHEDULED)
        cancelled = await self._ids(Event.status == EventStatus.CANCELLED, waiting, alive=False)
        return {
            **moved,
            "planned": await self._for_each(changed, self._plan),
            "cleared": await self._for_each(cancelled, self._clear),
        }

    async def _plan(self, event_id: int) -> None:
        result = await make_schedules(self._work, event_id, revive_cleared=False)
        log.info("event planned again", event_id=event_id, **result.as_dict())

    async def _clear(self, event_id: int) -> None:
        await clear_event(self._work, Reason.EVENT_CANCELLED, event_id)

    async def _for_each(self, event_ids: Sequence[int], change: Callable[[int], Awaitable[None]]) -> int:
        """Changes one event after the other; one that cannot be changed does not hold up the rest."""
        done = 0
        for event_id in event_ids:
            try:
                await change(event_id)
            except Exception:
                log.exception("event not brought up to date; the next minute tries again", event_id=event_id)
            else:
                done += 1
        return done

    async def _move_on(self) -> dict[str, int]:
        now = self._work.clock.now()
        steps = (
            (EventStatus.LIVE, Event.start_time <= now, (EventStatus.UPCOMING,)),
            (EventStatus.COMPLETED, Event.end_time <= now, (EventStatus.UPCOMING, EventStatus.LIVE)),
        )
        moved: dict[str, int] = {}
        for status, is_due, before in steps:
            async with self._work.begin() as unit:
                done = await unit.session.execute(
                    update(Event)
                    .where(Event.id.in_(locked_ids(Event, is_due, Event.status.in_(before))))
                    .values(status=status, updated_at=now)
                    .returning(Event.id)
                )
                moved[status] = len(done.all())
        return moved

    async def _ids(self, *conditions: object, alive: bool) -> list[int]:
        query = select(Event.id).where(*conditions)  # type: ignore[arg-type]
        if alive:
            query = query.where(Event.status.in_((EventStatus.UPCOMING, EventStatus.LIVE)))
        async with self._work.read() as session:
            return list(await session.scalars(query.order_by(Event.id)))
