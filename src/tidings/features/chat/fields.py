"""Types of fields that several schemas of the chats are made of."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, StringConstraints

from tidings.fields import Storable


def _written(text: str) -> str:
    if not text.strip():
        raise ValueError("is blank; write something")
    return text


Content = Annotated[str, StringConstraints(min_length=1, max_length=10_000), Storable, AfterValidator(_written)]
UserId = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=255), Storable]
