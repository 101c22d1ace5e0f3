"""The words by which people are found: of their names and firms, their mail addresses, the digits of their numbers.

Each word stands there forwards and backwards, so that an index finds what it begins with and what it ends with. One
slip of the finger leaves the first half of a word as it is, or the last: so words with slips are found as well,
without reading all of them, and without what only one of the databases has.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from sqlalchemy import ForeignKey, Index, String, UniqueConstraint, delete, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from tidings.db.base import Base, BigId
from tidings.db.batches import among_many
from tidings.db.bulk_insert import bulk_insert, reserve_ids
from tidings.db.rows import locked_ids
from tidings.messages.contacts.names import plain

Letters = String(254).with_variant(String(254, collation="C"), "postgresql")
"""Text in the order of its characters on both databases, so that what begins alike stands together in an index."""


SAID = ("name", "first_name", "last_name", "company_name")
"""The contractors' columns that hold words."""


class ContactWord(Base):
    """One word of one person, and the same word backwards."""

    __tablename__ = "contact_words"
    __table_args__ = (UniqueConstraint("contact_id", "word"), Index(None, "word"), Index(None, "backwards"))

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    contact_id: Mapped[int] = mapped_column(ForeignKey("contractors.id"))
    word: Mapped[str] = mapped_column(Letters)
    backwards: Mapped[str] = mapped_column(Letters)


def words_for(person: Any, addresses: Collection[str]) -> set[str]:
    """The words of somebody who has the columns `SAID`, and these addresses."""
    words = {word for name in SAID for word in plain(getattr(person, name) or "").split()}
    words |= {one.lower() if "@" in one else one.removeprefix("+") for one in addresses}
    return {word[:254] for word in words if word}


async def keep_words(session: AsyncSession, people: Mapping[int, tuple[Any, Collection[str]]]) -> None:
    """Has the words of people, by their ids, be those of the given names and addresses; in a few statements."""
    ids = sorted(people)
    rows = await session.execute(
        select(ContactWord.id, ContactWord.contact_id, ContactWord.word).where(
            among_many(ContactWord.__table__.c.contact_id, "ids", session.get_bind().dialect.name)
        ),
        {"ids": ids},
    )
    wanted = {(one, word) for one, (person, addresses) in people.items() for word in words_for(person, addresses)}
    gone: list[int] = []
    for row_id, contact_id, word in rows:
        if (contact_id, word) in wanted:
            wanted.remove((contact_id, word))
        else:
            gone.append(row_id)
    for start in range(0, len(gone), 500):
        some = ContactWord.id.in_(sorted(gone)[start : start + 500])
        await session.execute(
            delete(ContactWord)
            .where(ContactWord.id.in_(locked_ids(ContactWord, some)))
            .execution_options(synchronize_session=False)
        )
    if wanted:
        new = sorted(wanted)
        columns = {
            "id": await reserve_ids(session, ContactWord, len(new)),
            "contact_id": [contact_id for contact_id, _ in new],
            "word": [word for _, word in new],
            "backwards": [word[::-1] for _, word in new],
        }
        await bulk_insert(session, ContactWord, columns, {})
