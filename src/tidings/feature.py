"""What a feature is, and how it reads what people give it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from fastapi import APIRouter
from pydantic import BaseModel, ValidationError
from sqlalchemy.ext.asyncio import AsyncSession

from tidings.engine.jobs import Handler, Schedule
from tidings.engine.policy import QueuePolicy
from tidings.errors import InvalidInput
from tidings.messages.kind import Outbox

Model = TypeVar("Model", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Moment:
    """Something that happened to a contact in one feature, and that another may refer to.

    `kind` is a word such as `event_ended`, `at` is UTC, `facts` are what may be said about it.
    """

    contact_id: int
    kind: str
    at: datetime
    facts: Mapping[str, Any]


Moments = Callable[[AsyncSession, Sequence[int]], Awaitable[Sequence[Moment]]]
"""What a feature tells the others: the moments of the given contacts."""


@dataclass(frozen=True)
class Feature:
    """One message system as the application sees it.

    `handlers` say what its workers do with each kind of job; `outboxes` are its messages' ways to the road
    out; `schedules` are its recurring jobs; `router` makes its HTTP endpoints, which workers do without.
    """

    name: str
    queues: tuple[QueuePolicy, ...]
    handlers: tuple[Handler[Any], ...]
    outboxes: tuple[Outbox, ...]
    schedules: tuple[Schedule[Any], ...]
    router: Callable[[], APIRouter]


def parse(model: type[Model], data: Model | Mapping[str, Any], *, at: str = "") -> Model:
    """`data` as a validated `model`. Raises InvalidInput for the first unusable field; `at` goes before its path."""
    if isinstance(data, model):
        return data
    try:
        return model.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in (at, *first["loc"]) if part != "")
        raise InvalidInput(field, sentence(dict(first))) from error


def sentence(error: Mapping[str, Any]) -> str:
    """One pydantic error as a sentence."""
    message = str(error["msg"]).removeprefix("Value error, ")
    return message[:1].lower() + message[1:] if message[1:2].islower() else message
