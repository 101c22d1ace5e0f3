"""Knowledge bases and their items over HTTP."""

from __future__ import annotations

from datetime import datetime

from tidings.features.chat.fields import Content
from tidings.fields import Id, Input, Name, Output, Title


class KnowledgeBaseIn(Input):
    customer_id: Id
    name: Name


class KnowledgeBaseOut(Output):
    id: int
    customer_id: int
    name: str


class KnowledgeItemIn(Input):
    """One piece of knowledge; a question and its answer work best."""

    title: Title
    content: Content


class KnowledgeItemOut(Output):
    id: int
    knowledge_base_id: int
    title: str
    content: str
    embedding_model: str | None
    created_at: datetime
    updated_at: datetime


class FoundOut(Output):
    """An item that was found; `fit` (0 to 1) is how much of the question it answers."""

    id: int
    title: str
    content: str
    score: float
    fit: float


class ItemsCounted(Output):
    """How many items a request is about."""

    items: int
