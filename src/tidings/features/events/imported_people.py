"""The people of an import as rows: those who are new, those who are known and get completed, and their addresses."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields
from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from tidings.db.batches import among_many, update_rows
from tidings.db.bulk_insert import bulk_insert, reserve_ids
from tidings.errors import BadRow
from tidings.features.events.acquaintances import Acquaintances, addresses_in, find_known
from tidings.messages.contacts.addresses import AddressKind, add_further, follow
from tidings.messages.contacts.contractors import PROFILE, Contractor
from tidings.messages.contacts.files.person import Person
from tidings.messages.contacts.identity import find_person
from tidings.messages.contacts.saving import news, rivalry

AT_ONCE = 400
Item = TypeVar("Item")

_ADDRESSES = frozenset({"phone", "email"})
_COLUMNS = tuple(
    column.name for column in fields(Person) if hasattr(Contractor, column.name) and column.name != "addresses"
)

Progress = Callable[[str, int, int], None]
"""Hears what is done, how many of it are done, and of how many."""


class ImportedPeople:
    """Saves people. Afterwards `saved` has whose each line was, `is_complete` whether their profiles are, `left_out`
    the lines that may be about two people, and `reworded` those found by other names now."""

    def __init__(self, session: AsyncSession, now: datetime, on_progress: Progress) -> None:
        self.saved: list[tuple[int, Person]] = []
        self.is_complete: dict[int, bool] = {}
        self.left_out: list[BadRow] = []
        self.reworded: list[int] = []
        self.added = self.completed = 0
        self._session = session
        self._now = now
        self._progress = on_progress

    async def save(self, people: Sequence[Person]) -> None:
        """Saves people who come in the order in which they are to be locked."""
        done = 0
        for chunk in chunks(people):
            await self._save(chunk)
            done += len(chunk)
            self._progress("people", done, len(people))
        self.left_out.sort(key=lambda row: row.line)
        further: dict[int, list[str]] = {}
        for contact_id, person in self.saved:
            if person.addresses:
                further.setdefault(contact_id, []).extend(person.addresses)
        for some in chunks(sorted(further)):
            rows = {
                one: [(AddressKind.EMAIL if "@" in value else AddressKind.PHONE, value) for value in further[one]]
                for one in some
            }
            await add_further(self._session, rows, source="import", now=self._now)

    async def _save(self, chunk: Sequence[Person]) -> None:
        before = await find_known(self._session, chunk)
        known = Acquaintances(before)
        contractors = await self._contractors(known.ids)
        changed: set[int] = set()
        moved: set[int] = set()
        added: list[dict[str, Any]] = []
        places: list[tuple[int, Person]] = []
        for person in chunk:
            values = {name: value for name in _COLUMNS if (value := getattr(person, name)) is not None}
            found = find_person(person.name, addresses_in(person), known.of(person))
            if found.rivals is not None:
                self.left_out.append(BadRow(person.line, "phone", rivalry(found.rivals, values)))
                continue
            if found.id is None:
                added.append({**dict.fromkeys(_COLUMNS), **values})
                known.add(-len(added), person)  # the next line may be about the same person
                places.append((-len(added), person))
                continue
            places.append((found.id, person))
            contractor = added[-found.id - 1] if found.id < 0 else contractors[found.id]
            self.completed += 1
            told = news(values, contractor["name"], contractor["phone"])
            other = {name for name, value in told.items() if contractor[name] != value}
            if other:
                contractor |= told
                if found.id > 0:
                    contractor["updated_at"] = self._now
                    changed.add(found.id)
                    if other & _ADDRESSES:
                        moved.add(found.id)
            if found.id > 0:
                self.is_complete[found.id] = all(contractor[name] for name in PROFILE)
        await self._change([contractors[row_id] for row_id in sorted(changed)])
        new = await self._add(added)
        await follow(self._session, [*moved, *new], source="import", now=self._now, known=before)
        self.reworded += sorted(changed - moved)
        self.saved += [(place if place > 0 else new[-place - 1], person) for place, person in places]
        self.added += len(added)

    async def _contractors(self, ids: Sequence[int]) -> dict[int, dict[str, Any]]:
        """The columns of contractors, by their ids."""
        table = Contractor.__table__.c
        columns = (table.id, table.updated_at, *(table[name] for name in _COLUMNS))
        mine = among_many(table.id, "ids", self._session.get_bind().dialect.name)
        rows = await self._session.execute(select(*columns).where(mine), {"ids": ids})
        return {row["id"]: dict(row) for row in rows.mappings()}

    async def _change(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Writes contractors in order of id."""
        columns = (*_COLUMNS, "updated_at")
        await update_rows(await self._session.connection(), Contractor, columns, rows, key_share=True)

    async def _add(self, people: Sequence[Mapping[str, Any]]) -> list[int]:
        if not people:
            return []
        ids = await reserve_ids(self._session, Contractor, len(people))
        columns = {name: [person[name] for person in people] for name in _COLUMNS}
        moments = {"created_at": self._now, "updated_at": self._now}
        await bulk_insert(self._session, Contractor, {"id": ids, **columns}, moments)
        for row_id, person in zip(ids, people, strict=True):
            self.is_complete[row_id] = all(person[name] for name in PROFILE)
        return list(ids)


def chunks(items: Sequence[Item]) -> Iterator[Sequence[Item]]:
    """Some of many at a time."""
    for start in range(0, len(items), AT_ONCE):
        yield items[start : start + AT_ONCE]
