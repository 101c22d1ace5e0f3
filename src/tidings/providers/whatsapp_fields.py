"""Fields of WhatsApp's answers and callbacks, as values that can be stored, whatever JSON arrives."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from tidings.providers.responses import EXCERPT

_LONGEST_ID = 255
_END_OF_TIME = 253_402_300_800  # seconds: the year 10000, which no datetime reaches
_MILLISECONDS = 10**11  # as seconds this would be the year 5138
_PHONE = re.compile(r"\+?([1-9][0-9]{6,14})")


def json_object(body: bytes) -> Mapping[str, Any]:
    """The JSON object in `body`; empty when there is none."""
    try:
        return as_object(json.loads(body))
    except (ValueError, RecursionError):
        return {}


def as_object(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def as_list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def identifier(value: object) -> str | None:
    """An id: 1 to 255 printable characters, or a whole number as such."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value) if abs(value) < 10**30 else None
    found = value.strip() if isinstance(value, str) else ""
    return found if 0 < len(found) <= _LONGEST_ID and found.isprintable() else None


def line(value: object, limit: int = EXCERPT) -> str | None:
    """A text on one line, cut at `limit` characters; None when nothing is left."""
    if not isinstance(value, str):
        return None
    return " ".join("".join(c if c.isprintable() else " " for c in value).split())[:limit] or None


def text(value: object) -> str | None:
    """A text as somebody wrote it, without the NULs and half surrogate pairs that no database keeps."""
    return value.encode(errors="replace").decode().replace("\0", "") if isinstance(value, str) else None


def phone(value: object) -> str | None:
    """A phone number, with or without +, in E.164; None when it is something else."""
    found = _PHONE.fullmatch(identifier(value) or "")
    return f"+{found[1]}" if found else None


def moment(value: object) -> datetime | None:
    """Seconds or milliseconds since 1970 (a number, or its digits), or an ISO 8601 time with its offset, as UTC."""
    word = identifier(value) or ""
    try:
        if word.isascii() and word.isdigit():
            seconds = float(word) / (1000 if int(word) >= _MILLISECONDS else 1)
            return datetime.fromtimestamp(seconds, UTC) if 0 < seconds < _END_OF_TIME else None
        found = datetime.fromisoformat(word)
        return found.astimezone(UTC) if found.tzinfo else None
    except (ValueError, OverflowError):
        return None
