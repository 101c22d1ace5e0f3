"""Two entries of one person made one, and for a week two again.

The entry that is merged stays as a stone that points to the kept one; what refers to it is moved, table by table in
short units of work. What cannot be moved, because the kept entry has one already that a person has only once, stays
with the stone, and is told with the person's story. Planned messages that would say the same twice are called off.
Whoever merges the same two again goes on where a process has left off.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from typing import Any

from sqlalchemy import Table, delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from tidings.db.base import Base
from tidings.db.locks import LOCK_ORDER
from tidings.db.rows import find
from tidings.errors import Conflict, InvalidInput
from tidings.messages.changes import end
from tidings.messages.contacts.addresses import ContactAddress, addresses_of, follow, preferred_phone
from tidings.messages.contacts.contractors import Contractor, require_own
from tidings.messages.contacts.merging.moves import as_columns, differs, note, places, stands_in_the_way
from tidings.messages.contacts.records import ContactMerge, ContactMergeMove
from tidings.messages.contacts.search.words import keep_words
from tidings.messages.gate.standing import Admission
from tidings.messages.gate.trust import Trust
from tidings.messages.kind import MessageKind, RowChange
from tidings.messages.statuses import Reason, Status
from tidings.work import Portions, Unit, Work

UNDOABLE = timedelta(days=7)
"""How long a merge can be undone."""

PORTION = 250
"""Rows that one unit of work moves."""

Kinds = Callable[[], Iterable[type[MessageKind]]]

_FILLED = ("first_name", "last_name", "email", "company_name", "timezone", "ghl_contact_id", "ghl_location_id")
"""What the kept entry gets of the other one where it has nothing itself."""


async def merge_contacts(work: Work, kinds: Kinds, kept_id: int, merged_id: int, by: str | None) -> ContactMerge:
    """Makes `merged_id` part of `kept_id`. Raises NotFound, InvalidInput and Conflict."""
    if kept_id == merged_id:
        raise InvalidInput("merged_id", f"is the same person as contractor {kept_id}; name the other entry")
    merge = await work.retry(lambda unit: _begin(unit, work, kinds, kept_id, merged_id, by))
    portions = Portions(work)
    for kind in kinds():
        if hasattr(kind.model, "contractor_id"):
            async with portions.begin() as unit:
                await _call_off_repetitions(unit, work, kind, merge)
    for table, column in places():
        while True:
            async with portions.begin() as unit:
                moved = await _move(unit.session, table, column, merge)
            if moved < PORTION:
                break
    async with portions.begin() as unit:
        for kind in kinds():
            await kind.contacts_changing(unit.session, [kept_id], work.clock.now())
        await _move_standing(unit.session, merge)
        stored = await find(unit.session, ContactMerge, "merge", merge.id, lock=True)
        stored.finished_at = work.clock.now()
        return stored


async def _begin(unit: Unit, work: Work, kinds: Kinds, kept_id: int, merged_id: int, by: str | None) -> ContactMerge:
    """Points the one entry to the other, and moves its addresses: whoever writes or is told from now on is one."""
    session, now = unit.session, work.clock.now()
    under_way = select(ContactMerge).where(ContactMerge.merged_id == merged_id, ContactMerge.finished_at.is_(None))
    if found := await session.scalar(under_way.where(ContactMerge.kept_id == kept_id)):
        return found
    for kind in kinds():
        await kind.contacts_changing(session, [kept_id, merged_id], now)
    changes = [one for kind in kinds() for one in await kind.contacts_merged(session, kept_id, merged_id, now)]
    for contact_id in sorted((kept_id, merged_id)):
        await find(session, Contractor, "contractor", contact_id, lock=True)
    kept, merged = await session.get_one(Contractor, kept_id), await session.get_one(Contractor, merged_id)
    require_own(kept)
    require_own(merged)
    merge = ContactMerge(kept_id=kept_id, merged_id=merged_id, merged_at=now, merged_by=by)
    session.add(merge)
    await session.flush()
    filled = {name: getattr(merged, name) for name in _FILLED if not getattr(kept, name) and getattr(merged, name)}
    if (phone := preferred_phone(merged.phone, kept.phone)) != kept.phone:
        filled["phone"] = phone
    if merged.vip and not kept.vip:
        filled["vip"] = True
    changes.append(_set(Contractor, kept, {**filled, "updated_at": now}))
    changes.append(_set(Contractor, merged, {"merged_into": kept_id, "updated_at": now}))
    rows = await addresses_of(session, [kept_id, merged_id])
    present = {(row.kind, row.canonical) for row in rows[kept_id]}
    preferred = {row.kind for row in rows[kept_id] if row.is_preferred}
    for row in rows[merged_id]:
        if (row.kind, row.canonical) in present:
            columns = {each.name: getattr(row, each.name) for each in ContactAddress.__table__.columns}
            changes.append(RowChange(ContactAddress.__tablename__, row.id, columns, {}))
            await session.delete(row)
        else:
            after = {"contact_id": kept_id, "is_preferred": row.is_preferred and row.kind not in preferred}
            changes.append(_set(ContactAddress, row, after))
    await session.flush()
    note(session, merge.id, changes)
    await follow(session, [kept_id], source="merge", now=now)
    await keep_words(session, {merged_id: (_Nameless, ())})
    return merge


class _Nameless:
    """Nobody is found by the words of a stone."""

    name = first_name = last_name = company_name = None


def _set(model: type[Base], row: Any, after: Mapping[str, Any]) -> RowChange:
    before = {name: getattr(row, name) for name in after}
    for name, value in after.items():
        setattr(row, name, value)
    return RowChange(model.__tablename__, row.id, before, after)


async def _call_off_repetitions(unit: Unit, work: Work, kind: type[MessageKind], merge: ContactMerge) -> None:
    """Cancels what waits for the merged entry and would say what the kept one is told or was told as well."""
    session, model, now = unit.session, kind.model, work.clock.now()
    waiting = (Status.SCHEDULED, Status.WAITING)
    theirs = model.contractor_id == merge.merged_id
    rows = (
        await session.scalars(
            select(model).where(theirs, model.status.in_(waiting)).order_by(model.id).with_for_update()
        )
    ).all()
    said = [(row, kind.says(row)) for row in rows]
    if not any(what is not None for _, what in said):
        return
    table: Table = Base.metadata.tables[model.__tablename__]
    conflict = stands_in_the_way(table, "contractor_id", merge.kept_id)
    in_the_way: set[int] = set()
    if conflict is not None:
        in_the_way = set(
            await session.scalars(select(table.c.id).where(table.c.contractor_id == merge.merged_id, conflict))
        )
    open_ones = select(model).where(
        model.contractor_id == merge.kept_id, model.status.in_((*waiting, Status.SENDING))
    )
    present = {kind.says(row) for row in await session.scalars(open_ones)}
    called_off = [row for row, what in said if (what is not None and what in present) or row.id in in_the_way]
    names = ("status", "status_reason", "held_until", "updated_at", *kind.called_off)
    before = {row.id: {name: getattr(row, name) for name in names} for row in called_off}
    for row in called_off:
        for name, value in kind.called_off.items():
            setattr(row, name, value)
    await end(unit, kind, called_off, Status.CANCELLED, Reason.MERGED, now)
    note(
        session,
        merge.id,
        [
            RowChange(model.__tablename__, row.id, before[row.id], {name: getattr(row, name) for name in names})
            for row in called_off
        ],
    )


async def _move(session: AsyncSession, table: Table, column: str, merge: ContactMerge) -> int:
    """Moves some rows of a table to the kept entry; how many."""
    which = [table.c[column] == merge.merged_id]
    conflict = stands_in_the_way(table, column, merge.kept_id)
    if conflict is not None:
        which.append(~conflict)
    locked = select(table.c.id).where(*which).limit(PORTION).with_for_update(key_share=True)
    ids = sorted(await session.scalars(locked.order_by(table.c.id)))
    if ids:
        await session.execute(update(table).where(table.c.id.in_(ids)).values({column: merge.kept_id}))
        before, after = {column: merge.merged_id}, {column: merge.kept_id}
        note(session, merge.id, [RowChange(table.name, one, before, after) for one in ids])
    return len(ids)


async def _move_standing(session: AsyncSession, merge: ContactMerge) -> None:
    """Trust, of which the lower one counts, and places in the caps."""
    kept, merged = [await session.get(Trust, one) for one in (merge.kept_id, merge.merged_id)]
    if merged is not None:
        columns = {"score": merged.score, "reason": merged.reason, "updated_at": merged.updated_at}
        if kept is None:
            session.add(Trust(contact_id=merge.kept_id, **columns))
            note(session, merge.id, [RowChange(Trust.__tablename__, merge.kept_id, {}, columns)])
        elif merged.score < kept.score:
            before = {name: getattr(kept, name) for name in columns}
            for name, value in columns.items():
                setattr(kept, name, value)
            note(session, merge.id, [RowChange(Trust.__tablename__, merge.kept_id, before, columns)])
        await session.flush()
    rows = await session.execute(
        update(Admission)
        .where(Admission.contact_id == merge.merged_id)
        .values(contact_id=merge.kept_id)
        .returning(Admission.kind, Admission.message_id)
        .execution_options(synchronize_session=False)
    )
    changes = [
        RowChange(
            Admission.__tablename__,
            number,
            {"kind": kind, "contact_id": merge.merged_id},
            {"kind": kind, "contact_id": merge.kept_id},
        )
        for kind, number in rows
    ]
    note(session, merge.id, changes)


# And back


async def undo_merge(work: Work, kinds: Kinds, merge_id: int) -> ContactMerge:
    """Puts everything back where it was, but for what has come since. Raises NotFound and Conflict."""
    by_table = {kind.model.__tablename__: kind for kind in kinds()}
    async with work.read() as session:
        merge = await find(session, ContactMerge, "merge", merge_id)
        kept = await find(session, Contractor, "contractor", merge.kept_id)
    if merge.undone_at is not None:
        raise Conflict(f"merge {merge_id} was undone already")
    if work.clock.now() > merge.merged_at + UNDOABLE:
        raise Conflict(f"merge {merge_id} is older than {UNDOABLE.days} days and cannot be undone any more")
    if merge.finished_at is None:
        raise Conflict(f"merge {merge_id} is not finished; merge the two again, and then undo it")
    require_own(kept)
    portions = Portions(work)
    while True:
        async with portions.begin() as unit:
            newest = select(ContactMergeMove).where(ContactMergeMove.merge_id == merge_id)
            moves = (await unit.session.scalars(newest.order_by(ContactMergeMove.id.desc()).limit(PORTION))).all()
            # One table at a time, so that whoever locks others meets nobody.
            same = [one for one in moves if one.place == moves[0].place]
            if not moves or moves[0].place in (Contractor.__tablename__, ContactAddress.__tablename__):
                break
            first = next((place for place, one in enumerate(moves) if one.place != moves[0].place), len(moves))
            await _put_back(unit, same[:first], by_table)
            await _forget(unit.session, same[:first])
    return await work.retry(lambda unit: _finish_undo(unit, work, kinds, merge_id, by_table))


async def _finish_undo(
    unit: Unit, work: Work, kinds: Kinds, merge_id: int, by_table: Mapping[str, type[MessageKind]]
) -> ContactMerge:
    session, now = unit.session, work.clock.now()
    merge = await session.get_one(ContactMerge, merge_id)
    ids = sorted((merge.kept_id, merge.merged_id))
    for kind in kinds():
        await kind.contacts_changing(session, ids, now)
    query = select(ContactMergeMove).where(ContactMergeMove.merge_id == merge_id)
    moves = (await session.scalars(query.order_by(ContactMergeMove.id.desc()))).all()
    for place in sorted({one.place for one in moves}, key=LOCK_ORDER.index):
        if place == Contractor.__tablename__:
            for one in ids:
                await find(session, Contractor, "contractor", one, lock=True)
        await _put_back(unit, [one for one in moves if one.place == place], by_table)
    await follow(session, ids, source="merge", now=now)
    stored = await find(session, ContactMerge, "merge", merge_id, lock=True)
    stored.undone_at = now
    await session.flush()
    await _forget(session, moves)
    return stored


async def _put_back(unit: Unit, moves: Iterable[ContactMergeMove], by_table: Mapping[str, type[MessageKind]]) -> None:
    """Puts the rows of one table back that nobody has changed since."""
    session = unit.session
    for move in sorted(moves, key=lambda one: (one.row_id, -one.id)):
        table: Table = Base.metadata.tables[move.place]
        before, after = as_columns(table, move.before or {}), as_columns(table, move.after or {})
        if not after:
            await session.execute(table.insert().values(before))
            continue
        keys = list(table.primary_key.columns)
        which = (
            [table.c.kind == before["kind"], table.c.message_id == move.row_id]
            if len(keys) > 1
            else [keys[0] == move.row_id]
        )
        row = (await session.execute(select(table).where(*which).with_for_update(key_share=True))).first()
        if row is None or differs(row, {name: value for name, value in after.items() if name != "updated_at"}):
            continue
        if not before:
            await session.execute(delete(table).where(*which))
            continue
        kind = by_table.get(move.place)
        await session.execute(update(table).where(*which).values(before))
        if kind is not None and before.get("status") == Status.SCHEDULED:
            stored = await session.get_one(kind.model, move.row_id, populate_existing=True)
            unit.arm(kind.job(stored))


async def _forget(session: AsyncSession, moves: Iterable[ContactMergeMove]) -> None:
    """Forgets what was put back."""
    ids = sorted(one.id for one in moves)
    await session.execute(
        delete(ContactMergeMove).where(ContactMergeMove.id.in_(ids)).execution_options(synchronize_session=False)
    )
