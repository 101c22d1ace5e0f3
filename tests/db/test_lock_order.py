"""The order of locks: it is complete, it is written where people read it, and a test that breaks it fails."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Executable, delete, func, insert, inspect, select, update
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from support.locks import Watch, watching
from tidings.db.database import Database, open_database
from tidings.db.locks import EXCEPTIONS, GUARDED, IN_NO_ORDER, LOCK_ORDER
from tidings.db.rows import locked_ids
from tidings.features.events.models import Event, Registration
from tidings.messages.contacts.contractors import Contractor
from tidings.messages.gate.trust import Trust
from tidings.messages.ledger import LedgerEntry

pytestmark = pytest.mark.both_databases

NOW = datetime(2027, 5, 4, 12, tzinfo=UTC)
TIMES = {"created_at": NOW, "updated_at": NOW}
HERE = Path(__file__).parent
FIRST, SECOND, THIRD = 1, 2, 3

Step = Callable[[AsyncSession], Awaitable[object]]


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """Three contacts and two events, numbered from 1."""
    database = open_database(database_url)
    async with AsyncSession(database.writer) as session, session.begin():
        session.add_all(Contractor(id=number, name=f"Person {number}", **TIMES) for number in (FIRST, SECOND, THIRD))
        times = {"date": NOW.date(), "timezone": "UTC", "start_time": NOW, "end_time": NOW, **TIMES}
        session.add_all(Event(id=number, name="Expo", **times) for number in (FIRST, SECOND))
    yield database
    await database.close()


async def mistakes(database: Database, *steps: Step, **rules: Any) -> list[str]:
    """What is said about one transaction that does these things one after another, of this file's lines."""
    with watching(Watch(source=HERE, **rules)) as watch:
        await transaction(database.writer, *steps)
    return watch.mistakes


async def transaction(engine: AsyncEngine, *steps: Step) -> None:
    async with AsyncSession(engine, expire_on_commit=False) as session, session.begin():
        for step in steps:
            await step(session)


async def lock_event(session: AsyncSession) -> None:
    await session.get(Event, FIRST, with_for_update=True)


async def lock_person(session: AsyncSession) -> None:
    await session.get(Contractor, FIRST, with_for_update={"key_share": True})


def do(statement: Executable, *rows: Any) -> Step:
    """One statement, for many rows where some are given."""
    return lambda session: session.execute(statement, list(rows) or None)


def person(number: int) -> Step:
    """Locks one contact."""
    return do(select(Contractor.name).where(Contractor.id == number).with_for_update(key_share=True))


# A table before its turn


async def test_a_table_that_is_locked_before_its_turn_is_told_with_both_lines(database: Database) -> None:
    [mistake] = await mistakes(database, lock_person, lock_event)
    line = r"test_lock_order\.py:\d+"
    assert re.fullmatch(
        f"SELECT FOR UPDATE of events at {line} comes after SELECT FOR UPDATE of contractors at {line}, "
        "but events is to be locked before contractors",
        mistake,
    )


async def test_the_order_that_everybody_keeps_is_nothing_to_tell(database: Database) -> None:
    assert await mistakes(database, lock_event, lock_person) == []


async def _flush_an_event(session: AsyncSession) -> None:
    (await session.get_one(Event, FIRST)).name = "Fair"
    await session.flush()


async def _delete_an_event(session: AsyncSession) -> None:
    await session.delete(await session.get_one(Event, SECOND))
    await session.flush()


@pytest.mark.parametrize(
    "lock",
    [
        do(select(Event).where(Event.id == FIRST).with_for_update(read=True)),
        do(
            select(Event.name, Contractor.name)
            .join(Contractor, Contractor.id == Event.id)
            .where(Event.id == FIRST)
            .with_for_update(of=Event)
        ),
        do(select(func.count()).select_from(locked_ids(Event).subquery())),
        do(update(Event).where(Event.id == FIRST).values(name="Fair")),
        do(update(Event).where(Event.id.in_(locked_ids(Event))).values(name="Fair")),
        do(update(Event).where(Event.name == "Nobody's").values(name="Fair")),
        do(delete(Event).where(Event.id == SECOND)),
        _flush_an_event,
        _delete_an_event,
    ],
    ids=[
        *("share", "join", "inside another query", "update", "update of what a query locks", "update of no row"),
        *("delete", "flushed change", "flushed deletion"),
    ],
)
async def test_every_statement_that_locks_is_seen_on_both_databases(database: Database, lock: Step) -> None:
    [mistake] = await mistakes(database, lock_person, lock)
    assert "of events at" in mistake or "from events at" in mistake


async def test_reading_and_adding_lock_nothing_that_others_see(database: Database) -> None:
    async def add(session: AsyncSession) -> None:
        row = Registration(event_id=FIRST, contractor_id=FIRST, registered_at=NOW)
        session.add(row)
        await session.flush()
        row.session_keys = ["opening"]  # its own row
        await session.flush()

    assert await mistakes(database, lock_person, do(select(Event)), add) == []


async def test_what_is_held_already_may_be_locked_again_at_any_time(database: Database) -> None:
    again, other = (do(update(Event).where(Event.id == one).values(name="Fair")) for one in (FIRST, SECOND))
    assert await mistakes(database, lock_event, lock_person, lock_event, again) == []
    assert len(await mistakes(database, lock_event, lock_person, other)) == 1


async def test_who_skips_what_others_hold_waits_for_nobody_but_others_wait_for_it(database: Database) -> None:
    assert await mistakes(database, lock_person, do(locked_ids(Event, skip_locked=True))) == []
    assert len(await mistakes(database, do(locked_ids(Contractor, skip_locked=True)), lock_event)) == 1


async def test_a_row_that_new_rows_refer_to_is_to_be_locked_before_they_are_added(database: Database) -> None:
    """Two that have added such rows hold up each other as soon as both want the row for themselves."""

    def add(number: int) -> Step:
        return do(insert(Trust).values(contact_id=number, score=50.0, reason="reply", updated_at=NOW))

    whole: Step = partial(AsyncSession.get, entity=Contractor, ident=FIRST, with_for_update=True)
    [mistake] = await mistakes(database, add(FIRST), whole)
    assert "comes after rows were added that refer to these" in mistake
    assert await mistakes(database, add(SECOND), whole) == []
    assert await mistakes(database, whole, add(THIRD)) == []


# Rows of one table


async def test_rows_of_one_table_are_to_be_locked_in_order_of_id(database: Database) -> None:
    change = do(update(Contractor).values(vip=True))
    latest_first = do(select(Contractor).order_by(Contractor.id.desc()).with_for_update())
    for step in (do(select(Contractor).with_for_update()), latest_first, change):
        [mistake] = await mistakes(database, step)
        assert "locks several rows in no order" in mistake
    assert await mistakes(database, do(locked_ids(Contractor)), change) == []


async def test_a_lower_row_after_a_higher_one_is_told_with_their_ids(database: Database) -> None:
    assert await mistakes(database, person(FIRST), person(THIRD), person(FIRST)) == []
    [mistake] = await mistakes(database, person(THIRD), person(FIRST))
    assert "locks row 1 after row 3, which SELECT FOR UPDATE of contractors at" in mistake


async def test_many_rows_changed_by_one_call_are_locked_in_the_order_of_the_call(database: Database) -> None:
    one, other = ({"id": number, "vip": True} for number in (FIRST, SECOND))
    assert await mistakes(database, do(update(Contractor), one, other)) == []
    assert len(await mistakes(database, do(update(Contractor), other, one))) == 1


async def test_tables_whose_rows_hang_on_another_row_may_be_locked_in_no_order(database: Database) -> None:
    line = {"at": NOW, "kind": "event-message", "message_id": FIRST, "outcome": "sent"}
    await transaction(database.writer, do(insert(LedgerEntry), line, line))
    change = do(update(LedgerEntry).values(error="none"))
    assert await mistakes(database, change, in_no_order={"deliveries": "by whoever holds their message"}) == []
    assert len(await mistakes(database, change, in_no_order={})) == 1


async def test_rows_that_another_row_guards_may_come_after_any_others_once_that_is_held(database: Database) -> None:
    order = ("contractors", "events")
    guarded = {("events", "contractors"): "a contact is only locked by whoever holds the event"}
    steps = (person(THIRD), lock_event, person(FIRST))
    assert await mistakes(database, *steps, order=order, guarded=guarded) == []
    assert len(await mistakes(database, *steps, order=order)) == 2
    assert len(await mistakes(database, person(THIRD), person(FIRST), order=order, guarded=guarded)) == 1


# Transactions


async def test_what_a_savepoint_locked_is_forgotten_when_it_is_undone_and_kept_otherwise(database: Database) -> None:
    async def undone(session: AsyncSession) -> None:
        async with session.begin_nested() as savepoint:
            await lock_person(session)
            await savepoint.rollback()

    async def kept(session: AsyncSession) -> None:
        async with session.begin_nested():
            await lock_person(session)

    assert await mistakes(database, undone, lock_event) == []
    assert len(await mistakes(database, kept, lock_event)) == 1


async def test_transactions_at_the_same_time_or_after_one_another_do_not_mix(database: Database) -> None:
    with watching(Watch(source=HERE)) as watch:
        await transaction(database.writer, lock_person, lambda _: transaction(database.reader, lock_event))
        await transaction(database.writer, lock_event)
    assert watch.mistakes == []


# The rules


async def test_an_exception_is_for_two_tables_and_a_table_without_a_place_is_told(database: Database) -> None:
    assert await mistakes(database, lock_person, lock_event, exceptions={("contractors", "events"): "why"}) == []
    [mistake] = await mistakes(database, lock_event, order=("contractors",))
    assert mistake.endswith("events is not in tidings.db.locks.LOCK_ORDER")


async def test_what_a_test_writes_by_itself_is_not_looked_at(database: Database) -> None:
    with watching(Watch()) as watch:
        await transaction(database.writer, lock_person, lock_event)
    assert watch.mistakes == []


async def test_every_table_has_its_place_in_the_order(database: Database) -> None:
    async with database.reader.connect() as connection:
        tables = await connection.run_sync(lambda sync: inspect(sync).get_table_names())
    ours = {name for name in tables if name != "alembic_version" and not name.startswith("knowledge_search")}
    assert set(LOCK_ORDER) == ours
    assert len(LOCK_ORDER) == len(ours)


def test_exceptions_are_from_the_order_and_name_tables_of_it() -> None:
    for held, then in (*EXCEPTIONS, *GUARDED):
        assert LOCK_ORDER.index(held) > LOCK_ORDER.index(then), f"{then} is locked before {held} anyway"
    assert set(IN_NO_ORDER) <= set(LOCK_ORDER)


def test_the_page_for_contributors_has_the_order() -> None:
    page = (HERE.parents[1] / "CONTRIBUTING.md").read_text("utf-8")
    [table] = re.findall(r"^\| *\| first to last \|\n(.*?)\n\n", page, re.DOTALL | re.MULTILINE)
    assert tuple(re.findall(r"`(\w+)`", table)) == LOCK_ORDER
