"""People with any number of addresses, the words by which they are found, merges of two entries, and erasures.

A phone or a mail address may belong to several people from now on. SQLite has no way to drop a constraint, so its
table is written anew under the same name. Foreign keys are looked at when the upgrade is committed, and by then every
row that others refer to is there again.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import sqlalchemy as sa
from alembic import op
from anyascii import anyascii
from sqlalchemy.dialects import postgresql

from tidings.db.base import BigId, UtcDateTime
from tidings.messages.contacts.numbers.canonical import canonical_number

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

PAGE = 1000
LETTERS = sa.String(254).with_variant(sa.String(254, collation="C"), "postgresql")
JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")

CONTRACTORS = sa.table(
    "contractors",
    *(sa.column(name) for name in ("id", "name", "first_name", "last_name", "company_name", "phone", "email")),
)
ADDRESSES = sa.table(
    "contact_addresses",
    *(sa.column(name) for name in ("contact_id", "kind", "value", "canonical", "source", "is_preferred", "is_first")),
    sa.column("added_at", UtcDateTime()),
)
WORDS = sa.table("contact_words", *(sa.column(name) for name in ("contact_id", "word", "backwards")))

OLD_COLUMNS = (
    "id, name, first_name, last_name, phone, email, company_name, timezone, ghl_contact_id, ghl_location_id, vip, "
    "created_at, updated_at"
)
COLUMN_TYPES = """
    id INTEGER NOT NULL,
    name VARCHAR(200) NOT NULL,
    first_name VARCHAR(100),
    last_name VARCHAR(100),
    phone VARCHAR(20),
    email VARCHAR(254),
    company_name VARCHAR(200),
    timezone VARCHAR(64),
    ghl_contact_id VARCHAR(64),
    ghl_location_id VARCHAR(64),
    vip BOOLEAN DEFAULT (false) NOT NULL,
    created_at DATETIME NOT NULL,
    updated_at DATETIME NOT NULL"""
MERGED = """,
    merged_into INTEGER,
    erased_at DATETIME,
    CONSTRAINT pk_contractors PRIMARY KEY (id),
    CONSTRAINT fk_contractors_merged_into FOREIGN KEY(merged_into) REFERENCES contractors (id)"""
UNIQUE = """,
    CONSTRAINT pk_contractors PRIMARY KEY (id),
    CONSTRAINT uq_contractors_email UNIQUE (email),
    CONSTRAINT uq_contractors_phone UNIQUE (phone)"""


def upgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        _write_anew(MERGED)
    else:
        op.drop_constraint("uq_contractors_email", "contractors")
        op.drop_constraint("uq_contractors_phone", "contractors")
        reference = sa.ForeignKey("contractors.id", name="fk_contractors_merged_into")
        op.add_column("contractors", sa.Column("merged_into", BigId, reference, nullable=True))
        op.add_column("contractors", sa.Column("erased_at", UtcDateTime(), nullable=True))
    op.create_index("ix_contractors_phone", "contractors", ["phone"])
    op.create_index("ix_contractors_email", "contractors", ["email"])
    _index("ix_contractors_merged_into", "contractors", ["merged_into"], "merged_into IS NOT NULL")
    op.create_index("ix_conversations_external_user_id", "conversations", ["external_user_id"])
    _create_tables()
    _fill()


def _create_tables() -> None:
    op.create_table(
        "contact_addresses",
        sa.Column("id", BigId, nullable=False),
        sa.Column("contact_id", BigId, nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("value", sa.String(254), nullable=False),
        sa.Column("canonical", LETTERS, nullable=False),
        sa.Column("source", sa.String(32), nullable=False),
        sa.Column("added_at", UtcDateTime(), nullable=False),
        sa.Column("is_preferred", sa.Boolean(), nullable=False),
        sa.Column("is_first", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["contact_id"], ["contractors.id"], name="fk_contact_addresses_contact_id"),
        sa.PrimaryKeyConstraint("id", name="pk_contact_addresses"),
        sa.UniqueConstraint("contact_id", "kind", "canonical", name="uq_contact_addresses_contact_id_kind_canonical"),
    )
    op.create_index("ix_contact_addresses_canonical", "contact_addresses", ["canonical"])
    _index("ix_contact_addresses_first", "contact_addresses", ["kind", "canonical"], "is_first", unique=True)
    op.create_table(
        "contact_words",
        sa.Column("id", BigId, nullable=False),
        sa.Column("contact_id", BigId, nullable=False),
        sa.Column("word", LETTERS, nullable=False),
        sa.Column("backwards", LETTERS, nullable=False),
        sa.ForeignKeyConstraint(["contact_id"], ["contractors.id"], name="fk_contact_words_contact_id"),
        sa.PrimaryKeyConstraint("id", name="pk_contact_words"),
        sa.UniqueConstraint("contact_id", "word", name="uq_contact_words_contact_id_word"),
    )
    op.create_index("ix_contact_words_word", "contact_words", ["word"])
    op.create_index("ix_contact_words_backwards", "contact_words", ["backwards"])
    op.create_table(
        "contact_merges",
        sa.Column("id", BigId, nullable=False),
        sa.Column("kept_id", BigId, nullable=False),
        sa.Column("merged_id", BigId, nullable=False),
        sa.Column("merged_at", UtcDateTime(), nullable=False),
        sa.Column("merged_by", sa.String(200), nullable=True),
        sa.Column("finished_at", UtcDateTime(), nullable=True),
        sa.Column("undone_at", UtcDateTime(), nullable=True),
        sa.ForeignKeyConstraint(["kept_id"], ["contractors.id"], name="fk_contact_merges_kept_id"),
        sa.ForeignKeyConstraint(["merged_id"], ["contractors.id"], name="fk_contact_merges_merged_id"),
        sa.PrimaryKeyConstraint("id", name="pk_contact_merges"),
    )
    op.create_index("ix_contact_merges_kept_id", "contact_merges", ["kept_id"])
    op.create_index("ix_contact_merges_merged_id", "contact_merges", ["merged_id"])
    op.create_table(
        "contact_merge_moves",
        sa.Column("id", BigId, nullable=False),
        sa.Column("merge_id", BigId, nullable=False),
        sa.Column("place", sa.String(64), nullable=False),
        sa.Column("row_id", BigId, nullable=False),
        sa.Column("before", JSON, nullable=True),
        sa.Column("after", JSON, nullable=True),
        sa.ForeignKeyConstraint(["merge_id"], ["contact_merges.id"], name="fk_contact_merge_moves_merge_id"),
        sa.PrimaryKeyConstraint("id", name="pk_contact_merge_moves"),
    )
    op.create_index("ix_contact_merge_moves_merge_id_id", "contact_merge_moves", ["merge_id", "id"])
    op.create_table(
        "contact_erasures",
        sa.Column("id", BigId, nullable=False),
        sa.Column("contact_id", BigId, nullable=False),
        sa.Column("erased_at", UtcDateTime(), nullable=False),
        sa.Column("erased_by", sa.String(200), nullable=True),
        sa.Column("counts", JSON, nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_contact_erasures"),
    )
    op.create_index("ix_contact_erasures_contact_id", "contact_erasures", ["contact_id"])


def _index(name: str, table: str, columns: list[str], condition: str, **options: Any) -> None:
    where = sa.text(condition)
    op.create_index(name, table, columns, sqlite_where=where, postgresql_where=where, **options)


def _fill() -> None:
    """A row for each address that a contractor has, and the words of each."""
    now = datetime.now(UTC)
    first: set[str] = set()
    for people in _pages():
        addresses, words = [], []
        for person in people:
            told = {kind: value for kind in ("phone", "email") if (value := getattr(person, kind))}
            for kind, value in told.items():
                canonical = _canonical(value)
                addresses.append(
                    {
                        "contact_id": person.id,
                        "kind": kind,
                        "value": value,
                        "canonical": canonical,
                        "source": "migration",
                        "added_at": now,
                        "is_preferred": True,
                        "is_first": canonical not in first,
                    }
                )
                first.add(canonical)
            words += [
                {"contact_id": person.id, "word": word, "backwards": word[::-1]}
                for word in sorted(_words(person, told.values()))
            ]
        if addresses:
            op.bulk_insert(ADDRESSES, addresses)
        if words:
            op.bulk_insert(WORDS, words)


def _canonical(address: str) -> str:
    return canonical_number(address) if address.startswith("+") else address


def _words(person: Any, addresses: Iterable[str]) -> set[str]:
    """The words by which a person is found, as they were when this was written."""
    said = (person.name, person.first_name, person.last_name, person.company_name)
    words = {word for one in said if one for word in _plain(one).split()}
    words |= {one.lower() if "@" in one else one.removeprefix("+") for one in addresses}
    return {word[:254] for word in words if word}


def _plain(text: str) -> str:
    composed = unicodedata.normalize("NFKC", text).casefold()
    kept = "".join(" " if unicodedata.category(letter)[0] in "SC" else letter for letter in composed)
    return re.sub(r"[\W_]+", " ", re.sub(r"['’ʼ`´]", "", anyascii(kept).lower())).strip()


def _pages() -> Iterator[Sequence[SimpleNamespace]]:
    last_id = 0
    while True:
        query = sa.select(CONTRACTORS).where(CONTRACTORS.c.id > last_id).order_by(CONTRACTORS.c.id).limit(PAGE)
        rows = [SimpleNamespace(**row) for row in op.get_bind().execute(query).mappings()]
        if not rows:
            return
        yield rows
        last_id = rows[-1].id


def _write_anew(rest: str) -> None:
    """Writes SQLite's table of contractors anew under the same name, so that what refers to it goes on doing so."""
    op.execute("PRAGMA defer_foreign_keys = ON")
    op.execute(f"CREATE TEMPORARY TABLE contractors_before AS SELECT {OLD_COLUMNS} FROM contractors")
    op.execute("DROP TABLE contractors")
    op.execute(f"CREATE TABLE contractors ({COLUMN_TYPES}{rest}\n)")
    op.execute(f"INSERT INTO contractors ({OLD_COLUMNS}) SELECT {OLD_COLUMNS} FROM contractors_before ORDER BY id")
    op.execute("DROP TABLE contractors_before")


def downgrade() -> None:
    """Of several people with one phone or mail address only the first keeps it."""
    for table in ("contact_erasures", "contact_merge_moves", "contact_merges", "contact_words", "contact_addresses"):
        op.drop_table(table)
    op.drop_index("ix_conversations_external_user_id", "conversations")
    for column in ("phone", "email"):
        op.execute(
            f"UPDATE contractors SET {column} = NULL WHERE id NOT IN "
            f"(SELECT min(id) FROM contractors WHERE {column} IS NOT NULL GROUP BY {column})"
        )
    if op.get_bind().dialect.name == "sqlite":
        _write_anew(UNIQUE)
        return
    for column in ("phone", "email", "merged_into"):
        op.drop_index(f"ix_contractors_{column}", "contractors")
    op.drop_column("contractors", "merged_into")
    op.drop_column("contractors", "erased_at")
    op.create_unique_constraint("uq_contractors_email", "contractors", ["email"])
    op.create_unique_constraint("uq_contractors_phone", "contractors", ["phone"])
