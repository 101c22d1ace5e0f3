"""The content of a message from WhatsApp as a text: the person's words, or what stands for a picture or a place."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from tidings.providers.whatsapp_fields import as_list, as_object, identifier, json_object, line, text

_SHOWN = 80
"""Characters of a name, an address or an emoji inside a placeholder."""

_ANSWER = 500
"""Characters of one field of a form."""

_MOST = 50
"""Fields of a form and items of an order that are told; Meta's own limits are lower."""

_FIELD = re.compile(r"screen_\d+_(.+?)(?:_\d+)?", re.ASCII | re.DOTALL)
_CHOICE = re.compile(r"\d+_(.+)", re.ASCII | re.DOTALL)
_UNTOLD = frozenset({"flow_token", "saved_address_id"})
"""What forms send along for programs."""


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
        case "order":
            return CloudContent(_order(part))
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
            return _form(reply)
        case "call_permission_reply":
            answer = line(as_object(part.get("call_permission_reply")).get("response"), _SHOWN)
            return CloudContent(_bracket("call permission", answer))
        case _:
            return CloudContent("[interactive]")


def _form(reply: Mapping[str, Any]) -> CloudContent | None:
    """The fields that were filled in, `day: Tue; guests: 2`; the button's word where there are none to read."""
    filled = text(reply.get("response_json"))
    said = list(_fields(json_object(filled.encode()), "")) if filled else []
    if not said:
        return _words(reply.get("body") or "[form]", reply.get("response_json"))
    return CloudContent(f"[form] {'; '.join(said[:_MOST])}", filled)


def _fields(value: object, name: str) -> Iterator[str]:
    """Every field that holds something, by the name that its form gave it."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if key not in _UNTOLD:
                yield from _fields(inner, str(key))
        return
    if isinstance(value, list) and any(isinstance(one, dict | list) for one in value):
        for one in value:
            yield from _fields(one, name)
        return
    own = _FIELD.fullmatch(name)  # as Meta's builder of forms names fields, and the titles of their options
    answers = [found for one in (value if isinstance(value, list) else [value]) if (found := _answer(one, own))]
    if answers:
        yield f"{(line(own[1] if own else name, _SHOWN) or 'answer').replace('_', ' ')}: {', '.join(answers)}"


def _answer(value: object, own: re.Match[str] | None) -> str | None:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return str(value)[:_SHOWN]
    chosen = _CHOICE.fullmatch(value) if own and isinstance(value, str) else None
    return line(chosen[1].replace("_", " ") if chosen else value, _ANSWER)


def _order(part: Mapping[str, Any]) -> str:
    """What somebody put into the basket, with its prices and their sum where all of them can be read."""
    items = [as_object(item) for item in as_list(part.get("product_items"))]
    told, sums = [], []
    for item in items:
        count, price, currency = _number(item.get("quantity")), _number(item.get("item_price")), item.get("currency")
        money = f" at {_shown(price)} {line(currency, 3) or ''}".rstrip() if price is not None else ""
        name = line(identifier(item.get("product_retailer_id")), _SHOWN) or "something"
        told.append(f"{_shown(count) if count is not None else 1} × {name}{money}")
        sums.append((price * (1 if count is None else count) if price is not None else None, currency))
    total = ""
    if sums and all(amount is not None for amount, _ in sums) and len({str(currency) for _, currency in sums}) == 1:
        total = f"; total {_shown(sum((amount or Decimal(0) for amount, _ in sums), Decimal(0)))}"
        total = f"{total} {line(sums[0][1], 3) or ''}".rstrip()
    more = f" and {len(told) - _MOST} more" if len(told) > _MOST else ""
    note = (text(part.get("text")) or "").strip()
    listed = f"{', '.join(told[:_MOST])}{more}{total}"
    return " ".join(filter(None, ("[order]", listed, f"– {note}" if listed and note else note)))


def _number(value: object) -> Decimal | None:
    try:
        found = Decimal(identifier(value) or str(value)) if isinstance(value, int | float | str) else None
    except InvalidOperation:
        return None
    return found if found is not None and found.is_finite() and abs(found) < 10**12 else None


def _shown(amount: Decimal) -> str:
    return f"{amount:.0f}" if amount == amount.to_integral_value() else f"{amount:.2f}"


def _captioned(kind: str, name: object, part: Mapping[str, Any]) -> CloudContent:
    caption = (text(part.get("caption")) or "").strip()
    return CloudContent(f"{_bracket(kind, line(name, _SHOWN))} {caption}".strip())


def _place(part: Mapping[str, Any]) -> str:
    degrees = [part.get("latitude"), part.get("longitude")]
    known = all(isinstance(value, int | float) and -180 <= value <= 180 for value in degrees)
    return f"{degrees[0]:.5f} {degrees[1]:.5f}" if known else "unknown"


def _contact(card: Mapping[str, Any]) -> str:
    name = line(as_object(card.get("name")).get("formatted_name"), _SHOWN) or "somebody"
    company = line(as_object(card.get("org")).get("company"), _SHOWN)
    ways = [
        found
        for field, key in (("phones", "phone"), ("emails", "email"))
        for entry in as_list(card.get(field))
        if (found := line(as_object(entry).get(key), _SHOWN))
    ]
    return " ".join([name, *([f"({company})"] if company else []), *ways[:4]])


def _bracket(kind: str, rest: str | None) -> str:
    return f"[{kind} {rest}]" if rest else f"[{kind}]"
