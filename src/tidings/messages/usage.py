"""What the AI cost: one row for every answer that was paid for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Index, String, Text, func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from tidings.ai.base import Draft
from tidings.db.base import Base, BigId
from tidings.messages.tenants import INSTALLATION


class AiUsage(Base):
    """One answer of a model: its tokens, how long it took (ms), and why its text was not used, if it was not.

    Tokens are None when the server does not count them.
    """

    __tablename__ = "ai_usage"
    __table_args__ = (Index(None, "at"), Index(None, "kind", "message_id"))

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    at: Mapped[datetime]
    tenant: Mapped[str] = mapped_column(String(64), default=INSTALLATION)
    kind: Mapped[str] = mapped_column(String(32))
    message_id: Mapped[int | None] = mapped_column(BigId, default=None)
    model: Mapped[str] = mapped_column(String(100))
    prompt_tokens: Mapped[int | None] = mapped_column(default=None)
    completion_tokens: Mapped[int | None] = mapped_column(default=None)
    duration_ms: Mapped[float]
    fallback: Mapped[str | None] = mapped_column(Text, default=None)


def usage_row(
    at: datetime, kind: str, message_id: int | None, draft: Draft | None, tenant: str = INSTALLATION
) -> dict[str, Any] | None:
    """The row for a draft; None when no model was asked."""
    if draft is None or draft.usage is None:
        return None
    usage = draft.usage
    return {
        "at": at,
        "tenant": tenant,
        "kind": kind,
        "message_id": message_id,
        "model": usage.model,
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "duration_ms": usage.duration_ms,
        "fallback": draft.fallback,
    }


async def write_usage(connection: AsyncConnection | AsyncSession, rows: Sequence[Mapping[str, Any] | None]) -> None:
    """Adds rows in the caller's transaction."""
    if present := [dict(row) for row in rows if row is not None]:
        await connection.execute(insert(AiUsage), present)


async def usage_since(session: AsyncSession, since: datetime) -> list[dict[str, Any]]:
    """Answers, refused answers and tokens for each tenant, kind of message and model since a moment (UTC)."""
    rows = await session.execute(
        select(
            AiUsage.tenant,
            AiUsage.kind,
            AiUsage.model,
            func.count().label("answers"),
            func.count(AiUsage.fallback).label("refused"),
            func.sum(AiUsage.prompt_tokens).label("prompt_tokens"),
            func.sum(AiUsage.completion_tokens).label("completion_tokens"),
        )
        .where(AiUsage.at >= since)
        .group_by(AiUsage.tenant, AiUsage.kind, AiUsage.model)
        .order_by(AiUsage.tenant, AiUsage.kind, AiUsage.model)
    )
    return [dict(row) for row in rows.mappings()]
