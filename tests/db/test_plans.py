"""A statement that would read all of a table that grows turns a test red, on both databases."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import Select, func, select
from sqlalchemy.dialects import postgresql, sqlite

from support.plans import EXCEPTIONS, SMALL, explain_on_postgres, explain_on_sqlite
from support.postgres import Postgres
from tidings.app import declared_kinds
from tidings.db import locks
from tidings.db.base import Base
from tidings.db.prepared import Prepared
from tidings.features.events.models import Event, EventMessage
from tidings.messages.delivery.outcome_rows import recording
from tidings.messages.delivery.taking import claiming
from tidings.messages.kind import MessageKind
from tidings.messages.ledger import LedgerEntry
from tidings.messages.statuses import OPEN, Status

MESSAGES = select(EventMessage.id)

WHOLE = {
    "all rows are counted": select(func.count()).select_from(LedgerEntry),
    "a column has no index": MESSAGES.where(EventMessage.phone == "+1"),
    "most of a status's rows are old": MESSAGES.where(EventMessage.status == Status.SENT),
    "rows are gone through until enough are found": MESSAGES.where(EventMessage.id > 1, EventMessage.phone == "+1")
    .order_by(EventMessage.id)
    .limit(10),
}

BY_INDEX = {
    "one row": MESSAGES.where(EventMessage.id == 1),
    "open rows in order of time": MESSAGES.where(EventMessage.status.in_(OPEN))
    .order_by(EventMessage.scheduled_time, EventMessage.id)
    .limit(10),
    "what failed lately": MESSAGES.where(
        EventMessage.status == Status.FAILED, EventMessage.scheduled_time > func.now()
    ),
    "a page in order of id": MESSAGES.where(EventMessage.id > 1).order_by(EventMessage.id).limit(10),
    "a message's lines": select(LedgerEntry).where(LedgerEntry.kind == "k", LedgerEntry.message_id == 1),
    "a table that stays small": select(Event.id),
}


def _found(
    query: Select[tuple[int]], migrated_sqlite: Path, postgres: Postgres
) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    options = {"render_postcompile": True}
    return (
        explain_on_sqlite(migrated_sqlite, str(query.compile(dialect=sqlite.dialect(), compile_kwargs=options))),
        explain_on_postgres(
            postgres, str(query.compile(dialect=postgresql.asyncpg.dialect(), compile_kwargs=options))
        ),
    )


@pytest.mark.parametrize("case", WHOLE)
def test_a_statement_that_reads_a_whole_table_is_told(case: str, migrated_sqlite: Path, postgres: Postgres) -> None:
    assert all(_found(WHOLE[case], migrated_sqlite, postgres))


@pytest.mark.parametrize("case", BY_INDEX)
def test_a_statement_that_finds_its_rows_by_an_index_is_not(
    case: str, migrated_sqlite: Path, postgres: Postgres
) -> None:
    assert _found(BY_INDEX[case], migrated_sqlite, postgres) == ([], [])


def test_tables_and_places_that_are_excepted_are_there() -> None:
    assert set(SMALL) <= set(Base.metadata.tables)
    source = Path(locks.__file__).parents[1]
    for place, table in EXCEPTIONS:
        file, function = place.split(" ")
        assert f"def {function}(" in (source / file).read_text(), place
        assert table in Base.metadata.tables


@pytest.mark.parametrize("kind", list(declared_kinds()), ids=lambda kind: kind.name)
def test_what_is_claimed_and_loaded_is_found_by_its_ids(kind: type[MessageKind], postgres: Postgres) -> None:
    assert explain_on_postgres(postgres, Prepared(claiming(kind), postgresql.asyncpg.dialect()).sql) == []


@pytest.mark.parametrize("kind", list(declared_kinds()), ids=lambda kind: kind.name)
def test_what_was_sent_is_found_by_its_ids_when_it_is_written_down(
    kind: type[MessageKind], postgres: Postgres
) -> None:
    statement = recording(kind.model, ("id", "status", "updated_at"))
    assert explain_on_postgres(postgres, Prepared(statement, postgresql.asyncpg.dialect()).sql) == []
