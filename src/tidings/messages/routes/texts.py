"""HTTP endpoint about texts before they are sent: how many SMS they take."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, StringConstraints

from tidings.fields import Input
from tidings.messages.text.segments import explain, measure, plain
from tidings.web.routing import new_router


class TextIn(Input):
    """A text as it would be sent."""

    text: Annotated[str, StringConstraints(max_length=10_000)]


class CulpritOut(BaseModel):
    """A character that makes the text take more SMS; `rewrite` is what to write instead, empty: leave it out."""

    model_config = ConfigDict(from_attributes=True)

    character: str
    name: str
    position: int
    rewrite: str


class SegmentsOut(BaseModel):
    """What a text takes as SMS (3GPP TS 23.038, TS 23.040), and the same text in plain characters."""

    encoding: str
    segments: int
    units: int
    left: int
    culprits: list[CulpritOut]
    explanation: str
    plain: str
    plain_segments: int


router = new_router(tags=["messages"])


@router.post("/texts/measure")
async def measure_text(text: TextIn) -> SegmentsOut:
    """Counts the SMS that a text takes, names the characters that make it more, and offers a plain rewrite."""
    found = measure(text.text)
    return SegmentsOut(
        encoding=found.encoding,
        segments=found.segments,
        units=found.units,
        left=found.left,
        culprits=[CulpritOut.model_validate(culprit) for culprit in found.culprits],
        explanation=explain(found),
        plain=plain(text.text),
        plain_segments=found.plain_segments,
    )
