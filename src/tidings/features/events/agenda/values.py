"""The values in the files of agendas, read with errors that name them by their path in the file."""

from __future__ import annotations

import json
import re
import unicodedata
from typing import Any

from tidings.errors import InvalidInput

ROOT = "schedule.conference"
"""The path of a conference in a schedule.json."""

EXPORT = "export it from pretalx or frab as JSON (frab compatible)"
"""What to do about a file that is no schedule."""

_TEXTS = ("en", "de", "fr", "es")
_LANGUAGE = re.compile(r"[a-z]{2,3}(?:[-_][A-Za-z0-9]{2,8})*")


def as_object(value: Any, path: str) -> dict[str, Any]:
    """`value`, which must be an object."""
    if not isinstance(value, dict):
        raise InvalidInput(path, f"{shown(value)} is not an object; {EXPORT}")
    return value


def as_list(value: Any, path: str) -> list[Any]:
    """`value`, which must be a list."""
    if not isinstance(value, list):
        raise InvalidInput(path, f"is missing; {EXPORT}" if value is None else f"{shown(value)} is not a list")
    return value


def text_of(holder: dict[str, Any], key: str, path: str, limit: int | None = None) -> str | None:
    """One line of text, or None when there is none; of a text in several languages, the English or the first.

    An object with a name is called by it, as rooms and types are in some exports.
    """
    value = holder.get(key)
    if isinstance(value, dict):
        value = _in_one_language(value.get("name") or value.get("title") or value)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise InvalidInput(f"{path}.{key}", f"{shown(value)} is not text")
    text = clean(str(value))
    return (text if limit is None else cut(text, limit)) or None


def _in_one_language(value: Any) -> Any:
    """The text of `value`; of an object that has none by language, such as a mere reference, nothing."""
    if not isinstance(value, dict):
        return value
    languages = [key for key in value if _LANGUAGE.fullmatch(str(key))]
    return next((value[language] for language in (*_TEXTS, *languages) if value.get(language)), None)


def clean(text: str) -> str:
    """`text` on one line, without control characters and halves of characters, which no database stores."""
    return " ".join("".join(c for c in text if c.isspace() or unicodedata.category(c) not in {"Cc", "Cs"}).split())


def cut(text: str, limit: int) -> str:
    """`text` in at most `limit` characters, the last an ellipsis when some are left out."""
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "…"


def shown(value: Any) -> str:
    """`value` as an error shows it: short, and on one line."""
    if isinstance(value, str):
        return repr(value if len(value) <= 60 else value[:60] + "…")
    if isinstance(value, (dict, list)):
        return "an object" if isinstance(value, dict) else "a list"
    return json.dumps(value)[:60]
