"""The content of a message from WhatsApp as a text: the person's words, or what stands for a picture or a place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tidings.providers.whatsapp_fields import as_list, as_object, identifier, line, text

_SHOWN = 80
"""Characters of a name, an address or an emoji inside a placeholder."""


@dataclass(frozen=True, slots=True)
class CloudContent:
    """`payload` belongs to a button, a list row or a form; `about` is the id of another message that it concerns."""

    text: str
    payload: str | None = None
    about: str | None = None


def content_of(kind: str, message: Mapping[str, Any]) -> CloudContent | None:
    """The content of a message of Meta's type `kind`; None when it lacks the words that such a message has."""
    body = message.get(kind)
    part = as_object(body)
    match kind:
        case "text":
            return _words(part.get("body"))
        case "button":
            return _words(part.get("text"), part.get("payload"))
        case "interactive":
            return _chosen(part)
        case "edit":
            edited = as_object(part.get("message"))
            form = identifier(edited.get("type"))
            inner = content_of(form, edited) if form and form != "edit" else None
            return inner and CloudContent(inner.text, inner.payload, identifier(part.get("original_message_id")))
        case "revoke":
            return CloudContent("[message deleted]", about=identifier(part.get("original_message_id")))
        case "reaction":
            emoji = line(part.get("emoji"), _SHOWN)
            return CloudContent(f"[reaction {emoji or 'removed'}]", about=identifier(part.get("message_id")))
        case "audio":
            return CloudContent("[voice message]" if part.get("voice") is True else "[audio]")
        case "document":
            return _captioned("document", part.get("filename"), part)
        case "location":
            names = [found for key in ("name", "address") if (found := line(part.get(key), _SHOWN))]
            return CloudContent(_bracket("location", ", ".join([_place(part), *names])))
        case "contacts":
            return CloudContent(
                _bracket("contact", ", ".join(_contact(as_object(card)) for card in as_list(body)[:5]))
            )
        case "system":
            return CloudContent(_bracket("system", line(part.get("body"))))
        case "unsupported":
            return CloudContent("[unsupported message]")
        case _:  # image, video, sticker, and what WhatsApp will think of
            return _captioned(kind, None, part)


def _words(body: object, payload: object = None) -> CloudContent | None:
    words = text(body)
    return None if words is None else CloudContent(words, text(payload))


def _chosen(part: Mapping[str, Any]) -> CloudContent | None:
    match part.get("type"):
        case "button_reply" | "list_reply" as kind:
            reply = as_object(part.get(kind))
            return _words(reply.get("title"), reply.get("id"))
        case "nfm_reply":  # a form, which Meta calls a flow
            reply = as_object(part.get("nfm_reply"))
            return _words(reply.get("body"), reply.get("response_json"))
        case _:
            return CloudContent("[interactive]")


def _captioned(kind: str, name: object, part: Mapping[str, Any]) -> CloudContent:
    caption = (text(part.get("caption")) or "").strip()
    return CloudContent(f"{_bracket(kind, line(name, _SHOWN))} {caption}".strip())


def _place(part: Mapping[str, Any]) -> str:
    degrees = [part.get("latitude"), part.get("longitude")]
    known = all(isinstance(value, int | float) and -180 <= value <= 180 for value in degrees)
    return f"{degrees[0]:.5f} {degrees[1]:.5f}" if known else "unknown"


def _contact(card: Mapping[str, Any]) -> str:
    name = line(as_object(card.get("name")).get("formatted_name"), _SHOWN) or "somebody"
    numbers = (line(as_object(entry).get("phone"), _SHOWN) for entry in as_list(card.get("phones")))
    number = next(filter(None, numbers), None)
    return f"{name} {number}" if number else name


def _bracket(kind: str, rest: str | None) -> str:
    return f"[{kind} {rest}]" if rest else f"[{kind}]"
