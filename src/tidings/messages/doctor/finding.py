"""What a look finds."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is wrong. `check` is the look that found it, `message` the name of the message that it is about,
    if it is about one, and `sentence` says what is wrong and what to do."""

    check: str
    message: str | None
    sentence: str
