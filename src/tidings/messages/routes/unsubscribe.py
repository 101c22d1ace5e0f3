"""The pages behind the unsubscribe address of a promotional mail: a question with one button, and what it did.

They need no key, no cookie and no script: who has the address may say this much about it. Asking for the page changes
nothing, since mail scanners fetch every address; mail programs post to it (RFC 8058) and look at the status alone.
"""

from __future__ import annotations

import base64
import hashlib
import html
import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Annotated

from fastapi import Path
from fastapi.responses import Response

from tidings.errors import NotFound
from tidings.messages.contacts.unsubscribing import Subscription, Unsubscribing
from tidings.web.routing import new_router, provided

Pages = Annotated[Unsubscribing, provided(Unsubscribing)]
Token = Annotated[str, Path(max_length=2000)]

_PLACE = re.compile(r"\{\{(\w+)\}\}")
_STYLE = re.compile(r"<style>(.*?)</style>", re.DOTALL)
_BUTTON = (
    '<form method="post"{action}><input type="hidden" name="List-Unsubscribe" value="One-Click">'
    "<button{look}>{label}</button></form>"
)

router = new_router(strict=False, include_in_schema=False)


@router.get("/unsubscribe/{token}")
async def unsubscribe_page(pages: Pages, token: Token) -> Response:
    """Asks whether to get no more promotional mail of a tenant."""
    try:
        found = await pages.look(token)
    except NotFound:
        return _unknown()
    return _stopped(found, token) if found.stopped else _asked(found)


@router.post("/unsubscribe/{token}")
async def unsubscribe(pages: Pages, token: Token) -> Response:
    """Stops it, by a mail program's one click or the page's button, however often."""
    try:
        return _stopped(await pages.stop(token), token)
    except NotFound:
        return _unknown()


@router.post("/unsubscribe/{token}/undo")
async def undo_unsubscribe(pages: Pages, token: Token) -> Response:
    """Takes back what was said here, and nothing that was said elsewhere."""
    try:
        found = await pages.undo(token)
    except NotFound:
        return _unknown()
    if found.stopped:
        return _page(
            found,
            title="You still get no offers by mail",
            text=f"{found.address} said so in another way as well, and that stays.",
        )
    return _page(
        found,
        title="You are subscribed again",
        text=f"Offers and news from {found.sender.brand} go to {found.address} again.",
        # The page's own address ends in /undo; one up is the token's.
        form=_button("Unsubscribe", action=f"../{token}", plain=True),
    )


def _asked(found: Subscription) -> Response:
    return _page(
        found,
        title="Unsubscribe from offers by mail?",
        text=f"{found.address} gets no more offers and news from {found.sender.brand} then. "
        "Messages about what you ordered or booked still come.",
        form=_button("Unsubscribe"),
    )


def _stopped(found: Subscription, token: str) -> Response:
    return _page(
        found,
        title="You are unsubscribed",
        text=f"{found.address} gets no more offers and news from {found.sender.brand}.",
        form=_button("Undo", action=f"{token}/undo", plain=True),
    )


def _unknown() -> Response:
    text = (
        "This address is cut short, or too old to be known here. "
        "Reply to the mail with the word “unsubscribe” instead."
    )
    words = {"brand": "Unsubscribe", "title": "This link does not work", "text": text, "form": "", "help": ""}
    return _respond(words, 404)


def _button(label: str, *, action: str = "", plain: bool = False) -> str:
    """A form with one button; `action` is relative, so that a proxy may put everything below a folder."""
    return _BUTTON.format(
        action=f' action="{html.escape(action)}"' if action else "",
        look=' class="plain"' if plain else "",
        label=html.escape(label),
    )


def _page(found: Subscription, *, title: str, text: str, form: str = "") -> Response:
    support = found.sender.support
    words = {
        "brand": html.escape(found.sender.brand),
        "title": html.escape(title),
        "text": html.escape(text),
        "form": form,
        "help": f'<p class="help">Questions? Write to {html.escape(support)}.</p>' if support else "",
    }
    return _respond(words, 200)


def _respond(words: Mapping[str, str], status: int) -> Response:
    template, policy = _template()
    headers = {
        "content-security-policy": policy,
        "cache-control": "no-store",
        "referrer-policy": "no-referrer",
        "x-content-type-options": "nosniff",
        "x-robots-tag": "noindex",
    }
    body = _PLACE.sub(lambda place: words[place[1]], template)
    return Response(body, status, headers, media_type="text/html; charset=utf-8")


@cache
def _template() -> tuple[str, str]:
    """The page as it is shipped, and the policy that lets its own style and form work and nothing else."""
    template = files("tidings.messages.routes").joinpath("pages", "unsubscribe.html").read_text("utf-8")
    [style] = _STYLE.findall(template)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    rules = (
        "default-src 'none'",
        f"style-src 'sha256-{digest}'",
        "form-action 'self'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
    )
    return template, "; ".join(rules)
