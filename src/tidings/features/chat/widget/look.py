"""How a chatbot's widget looks, and on which web pages it may be held."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import Field, SerializerFunctionWrapHandler, StringConstraints, ValidationError, model_serializer

from tidings.fields import Input, Storable

_ORIGIN = re.compile(r"https?://(?:[a-z0-9._-]+|\[[0-9a-f:.]+\])(?::\d{1,5})?")
_Label = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=60), Storable]
_Words = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500), Storable]


class WidgetLook(Input):
    """The words and the colour of a widget; `color` is like #0b6e4f. What is left out has a default."""

    title: _Label | None = None
    greeting: _Words | None = None
    placeholder: _Label | None = None
    color: Annotated[str, Field(pattern=r"^#[0-9a-fA-F]{6}$")] | None = None

    @model_serializer(mode="wrap")
    def _chosen(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {name: value for name, value in dump(self).items() if value is not None}

    @classmethod
    def stored(cls, look: Any) -> WidgetLook:
        """The look that a row holds; what cannot be used of it has its default, since a page has to open."""
        usable: dict[str, Any] = {}
        for name in cls.model_fields:
            if not isinstance(look, dict) or look.get(name) is None:
                continue
            try:
                usable[name] = getattr(cls.model_validate({name: look[name]}), name)
            except ValidationError:
                continue
        return cls(**usable)


def may_hold(allowed: Sequence[str], origin: str | None, host: str) -> bool:
    """Whether a page of `origin` may talk to the widget that this server has at `host` (both as in their headers).

    The widget's own page may always, in whatever frame: which pages may frame it says its Content-Security-Policy.
    Schemes are not compared there, because a proxy in front may end the encryption.
    """
    if not origin:
        return False
    if origin in allowed:
        return True
    try:
        return bool(host) and urlsplit(origin).netloc.lower() == host.lower()
    except ValueError:
        return False


def holders(allowed: Sequence[str]) -> str:
    """The pages that may hold the widget in a frame, as a CSP's frame-ancestors names them.

    What is no plain origin is left out: a semicolon in it would begin another directive.
    """
    return " ".join(["'self'", *(origin for origin in allowed if _ORIGIN.fullmatch(origin))])
