"""Tables of what was done to contacts as a whole: merges with what they moved, and certificates of erasures."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, ForeignKey, Index, String
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from tidings.db.base import Base, BigId

_Change = JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")


class ContactMerge(Base):
    """Two entries of one person made one: what was `merged_id`'s is `kept_id`'s.

    `finished_at` is None while rows are still being moved; whoever merges the two again goes on with it. After
    `undone_at` everything is where it was before.
    """

    __tablename__ = "contact_merges"
    __table_args__ = (Index(None, "kept_id"), Index(None, "merged_id"))

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    kept_id: Mapped[int] = mapped_column(ForeignKey("contractors.id"))
    merged_id: Mapped[int] = mapped_column(ForeignKey("contractors.id"))
    merged_at: Mapped[datetime]
    merged_by: Mapped[str | None] = mapped_column(String(200), default=None)
    finished_at: Mapped[datetime | None] = mapped_column(default=None)
    undone_at: Mapped[datetime | None] = mapped_column(default=None)


class ContactMergeMove(Base):
    """One row that a merge changed: in which table, and the columns as they were and as they are since.

    `before` None: the merge added the row. `after` None: it removed it.
    """

    __tablename__ = "contact_merge_moves"
    __table_args__ = (Index(None, "merge_id", "id"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    merge_id: Mapped[int] = mapped_column(ForeignKey("contact_merges.id"))
    place: Mapped[str] = mapped_column(String(64))
    row_id: Mapped[int] = mapped_column(BigId)
    before: Mapped[dict[str, Any] | None] = mapped_column(_Change, default=None)
    after: Mapped[dict[str, Any] | None] = mapped_column(_Change, default=None)


class ContactErasure(Base):
    """The certificate of an erasure: what was removed of whom, when and by whom, without anybody's data.

    `counts` are the rows by table that were deleted or emptied. `digest` (SHA-256) is over everything else on it, so
    that whoever was given a certificate can show that it is the one that is kept.
    """

    __tablename__ = "contact_erasures"
    __table_args__ = (Index(None, "contact_id"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    contact_id: Mapped[int] = mapped_column(BigId)
    erased_at: Mapped[datetime]
    erased_by: Mapped[str | None] = mapped_column(String(200), default=None)
    counts: Mapped[dict[str, Any]] = mapped_column(default=dict)
    digest: Mapped[str] = mapped_column(String(64))
