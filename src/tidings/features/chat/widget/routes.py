"""The widget's public addresses: its page, the script that puts it into other pages, and the socket.

None of them needs the API key: a visitor is a stranger. The chatbot is named by its key, pages that may hold the
widget by their origin, and a visitor by a random id that only its own browser knows.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import Query, WebSocket
from fastapi.responses import Response

from tidings.errors import NotFound
from tidings.features.chat.service import Chat
from tidings.features.chat.widget.look import may_hold
from tidings.features.chat.widget.page import read_page, read_script
from tidings.features.chat.widget.socket import WidgetSocket
from tidings.fields import MAX_ID
from tidings.web.routing import new_router, provided

Service = Annotated[Chat, provided(Chat)]
After = Annotated[int, Query(ge=0, le=MAX_ID)]
Visitor = Annotated[str, Query(pattern=r"^[A-Za-z0-9_-]{16,64}$")]

router = new_router(strict=False, prefix="/widget", include_in_schema=False)


@router.get("/{widget_key}")
async def widget_page(chat: Service, widget_key: str) -> Response:
    """The chat as a page of its own, or in a frame of a page that the chatbot allows."""
    chatbot, page = await chat.widget.find(widget_key), read_page()
    headers = {
        "content-security-policy": page.policy_for(chatbot.allowed_origins),
        "cache-control": "no-cache",
        "referrer-policy": "no-referrer",
        "x-content-type-options": "nosniff",
    }
    text = page.filled(chatbot.name, chatbot.widget)
    return Response(text, media_type="text/html; charset=utf-8", headers=headers)


@router.get("/{widget_key}/embed.js")
async def widget_script(chat: Service, widget_key: str) -> Response:
    """The script that puts a button and the chat's frame into the page that loads it."""
    await chat.widget.find(widget_key)
    headers = {
        "cache-control": "public, max-age=3600",
        "cross-origin-resource-policy": "cross-origin",
        "x-content-type-options": "nosniff",
    }
    return Response(read_script(), media_type="text/javascript; charset=utf-8", headers=headers)


@router.websocket("/{widget_key}/socket")
async def widget_socket(
    chat: Service, websocket: WebSocket, widget_key: str, visitor: Visitor, after: After = 0
) -> None:
    """The conversation of one visitor. A stranger's page is refused before the connection is made (403)."""
    widget = chat.widget
    try:
        chatbot = await widget.find(widget_key)
    except NotFound:
        await websocket.close(1008)
        return
    headers = websocket.headers
    if not may_hold(chatbot.allowed_origins, headers.get("origin"), headers.get("host", "")):
        await websocket.close(1008)
        return
    with widget.places.taken(f"{chatbot.id}:{visitor}") as free:
        if not free:
            await websocket.close(1013)
            return
        await websocket.accept()
        await WidgetSocket(widget, websocket, chatbot.id, visitor, after).serve()
