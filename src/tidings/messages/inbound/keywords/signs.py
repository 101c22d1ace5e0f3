"""Texts of nothing but emoji."""

from __future__ import annotations

_STOP = "🛑⛔🚫✋"
_DOUBTFUL = "🖕❌🙅📵👎🔕🤚"


def is_stop_sign(text: str) -> bool:
    """Whether a reply is nothing but a sign that says stop, once or several times."""
    return _is(text, _STOP)


def is_doubtful_sign(text: str) -> bool:
    """Whether a reply is nothing but signs, and one of them of refusal or anger."""
    return _is(text, _DOUBTFUL)


def _is(text: str, signs: str) -> bool:
    said = text[:200]
    return any(sign in said for sign in signs) and not any(c.isalnum() for c in text)
