"""Asks the databases how they would carry out the application's statements, and tells which read a whole table.

Every statement that a test makes the application issue is explained once a process, for whatever parameters it may
get. A table that grows for as long as the installation runs is to be read by an index, by what the statement asks
for: not as a whole, and not in order of id until enough rows were found.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from sqlalchemy import CompoundSelect, Connection, Engine, Select, UniqueConstraint, event
from sqlalchemy.sql.dml import UpdateBase

from support.locks import SOURCE, frames, place_of
from support.postgres import Postgres
from tidings.db.base import Base

SMALL: Mapping[str, str] = {
    "plans": "a handful an installation",
    "vault_keys": "one row",
    "customers": "businesses, not people",
    "knowledge_bases": "a few a customer",
    "chatbots": "a few a customer",
    "whatsapp_cloud_accounts": "a few a customer",
    "whatsapp_qr_sessions": "a few a customer",
    "webhook_endpoints": "a few a customer",
    "followup_experiments": "written by people",
    "events": "written by people; a year has some hundred",
    "shops": "businesses, not people",
    "tenants": "businesses, not people",
    "shop_automations": "written by people",
    "shop_segments": "written by people",
    "shop_campaigns": "written by people",
    "shop_test_numbers": "at most twenty a shop",
    "shop_ignored_topics": "Shopify has some hundred topics, and a shop tells few that nobody uses",
}
"""Tables that may be read as a whole, and why; every other one grows."""

_A_PAGE = "a page in order of id by something that many rows have; whoever pages on reads each row once"

EXCEPTIONS: Mapping[tuple[str, str], str] = {
    ("features/events/views.py _select", "event_messages"): _A_PAGE,
    ("features/followups/action_items.py list", "contractor_action_items"): _A_PAGE,
    ("features/proactive/goals.py list", "contractor_goals"): _A_PAGE,
    ("features/proactive/views.py page", "ai_proactive_messages"): _A_PAGE,
    ("features/proactive/contact_states.py pages", "contractors"): "every contact is looked at, that is its purpose",
    ("features/proactive/views.py count_by_type", "ai_proactive_messages"): "figures of all time, when somebody asks",
    ("features/followups/figures.py scheduler_figures", "contractor_followup_schedules"): (
        "figures of all time, when somebody asks"
    ),
    (
        "messages/usage.py usage_since",
        "ai_usage",
    ): "figures, when somebody asks; SQLite goes by an index of its groups",
    ("features/shops/privacy/erasure.py erase_shop", "admissions"): (
        "once a shop; places in the caps go when their window is over, so there are few"
    ),
}
"""Tables that a function reads as a whole, and why it may: (function in its file, table)."""

MANY = {"ix_opt_outs_valid_address", "ix_contact_addresses_first"}
"""Partial indexes that grow, beside those that leave out NULLs; the others may be read from one end to the other."""

Explain = Callable[[str], list[tuple[str, str]]]

_SQLITE = re.compile(
    r"^(?P<how>SCAN|SEARCH) (?P<table>\w+)"
    r"(?: USING (?:COVERING )?(?:INDEX (?P<index>\w+)|(?P<key>INTEGER PRIMARY KEY)))?"
    r"(?: \((?P<by>.*)\))?"
)


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement in the words of a database, and the function that issues it: `features/events/views.py page`."""

    dialect: str
    sql: str
    place: str


class Plans:
    """The statements of the application, and the `mistakes` in how they would be carried out, each a sentence.

    `explain` has for each database that there is what says of a statement which growing tables it reads, and how.
    """

    def __init__(self, exceptions: Mapping[tuple[str, str], str] = EXCEPTIONS) -> None:
        self.explain: dict[str, Explain] = {}
        self._exceptions = exceptions
        self._known: set[tuple[str, str]] = set()
        self._new: list[Statement] = []

    def after_cursor_execute(
        self, connection: Connection, _cursor: Any, sql: str, _parameters: Any, context: Any, _many: bool
    ) -> None:
        """What SQLAlchemy tells, under its own name."""
        name = connection.dialect.name
        statement = getattr(context.compiled, "statement", None)
        if not isinstance(statement, Select | CompoundSelect | UpdateBase) or (name, sql) in self._known:
            return
        if "_alembic_tmp_" in sql:  # a migration makes a table anew, which nobody can explain afterwards
            return
        if place := _function():
            self._known.add((name, sql))
            self._new.append(Statement(name, sql, place))

    def mistakes(self) -> list[str]:
        """What is wrong with the statements since the last call; those of a database that is not there yet wait."""
        new = [one for one in self._new if one.dialect in self.explain]
        self._new = [one for one in self._new if one.dialect not in self.explain]
        return [
            f"{one.place} reads all of {table} on {one.dialect}: {how}\n    {' '.join(one.sql.split())}"
            for one in new
            for table, how in self.explain[one.dialect](one.sql)
            if (one.place, table) not in self._exceptions
        ]


def _grows(table: str) -> bool:
    return table in Base.metadata.tables and table not in SMALL


@cache
def _indexes() -> Mapping[str, tuple[str, bool]]:
    """Of every index its table, and whether it has a few rows only, so that it may be read from end to end."""
    indexes = {f"pk_{table}": (table, False) for table in Base.metadata.tables}
    for table in Base.metadata.tables.values():
        for index in table.indexes:
            where = index.dialect_options["sqlite"]["where"]
            few = where is not None and "IS NOT NULL" not in str(where) and index.name not in MANY
            indexes[str(index.name)] = (table.name, few)
        for constraint in table.constraints:
            if isinstance(constraint, UniqueConstraint):
                indexes[str(constraint.name)] = (table.name, False)
    return indexes


@contextmanager
def collecting(plans: Plans) -> Iterator[None]:
    """Collects the statements of every engine for as long as the context lasts."""
    event.listen(Engine, "after_cursor_execute", plans.after_cursor_execute)
    try:
        yield
    finally:
        event.remove(Engine, "after_cursor_execute", plans.after_cursor_execute)


def explain_on_sqlite(file: Path, sql: str) -> list[tuple[str, str]]:
    """The growing tables that a statement reads as a whole in a migrated database, and how; it is not carried out."""
    with closing(sqlite3.connect(file)) as connection:
        steps = connection.execute(f"EXPLAIN QUERY PLAN {sql}", [None] * sql.count("?")).fetchall()
    found = []
    for *_, step in steps:
        if (read := _SQLITE.match(step)) is None:
            continue
        table = _table_of(read["table"], sql)
        scans = read["how"] == "SCAN" and not _indexes().get(read["index"], ("", False))[1]
        walks = read["key"] and read["by"] == "rowid>?" and _filters(sql)
        if _grows(table) and (scans or walks):
            found.append((table, step))
    return found


def explain_on_postgres(postgres: Postgres, sql: str) -> list[tuple[str, str]]:
    """The same on PostgreSQL, where nothing is read as a whole that can be read by an index."""
    return list(_read(postgres.explain(sql)))


def _read(plan: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    index, condition = plan.get("Index Name", ""), plan.get("Index Cond")
    of_index, few = _indexes().get(index, ("", False))
    table = plan.get("Relation Name", of_index)
    whole = plan["Node Type"] == "Seq Scan" or (index and not condition and not few)
    walks = index and condition and not few and re.fullmatch(r"\(\w*\.?id > .*\)", condition) and plan.get("Filter")
    if _grows(table) and (whole or walks):
        yield table, f"{plan['Node Type']} {index} {condition or ''} filter {plan.get('Filter')}"
    for child in plan.get("Plans", ()):
        yield from _read(child)


def _table_of(name: str, sql: str) -> str:
    """The table that an alias stands for."""
    found = re.search(rf"\b(\w+) AS {name}\b", sql)
    return found[1] if found else name


def _filters(sql: str) -> bool:
    """Whether a statement asks for more than the rows after an id."""
    _, _, conditions = sql.partition("WHERE")
    return " AND " in conditions


def _function() -> str | None:
    """The function of the application that issues a statement; None when the innermost one of ours is a test's."""
    for frame in frames():
        place = place_of(frame.f_code.co_filename, SOURCE)
        if place == "test":
            return None
        if place and place != "db/rows.py":
            return f"{Path(place).as_posix()} {frame.f_code.co_name}"
    return None
