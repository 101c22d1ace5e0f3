"""One open page of the widget: what it writes is stored and acknowledged, and what is there for it is shown to it.

Frames are JSON texts. The page sends `message` (client_id, text), `typing` while somebody writes, `delivered` and
`read` (ids) and `ping`; it gets
`ready` and `missed` (messages, typing), `message`, `taken` (client_id, id), `typing` (on), `refused` (client_id, why,
again) and `pong`. The database is the truth: a push only says that there is something to read, and whatever push was
missed is made good by reading again.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, StringConstraints, TypeAdapter, ValidationError
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from tidings.engine.broadcast import News
from tidings.errors import UserError
from tidings.features.chat.rules.throttle import Bucket
from tidings.features.chat.widget.service import Reading, Widget
from tidings.fields import MAX_ID, Storable
from tidings.log import get_logger
from tidings.messages.ledger import DeliveryStatus

log = get_logger(__name__)

MAX_TEXT = 4000
"""Characters of one message."""

MAX_FRAME = 32 * 1024
"""Bytes of one frame; a longer one ends the connection with 1009."""

BURST, PER_SECOND = 8, 0.5
"""Messages that a page may send at once, and then every second."""

FRAMES_BURST, FRAMES_PER_SECOND = 60, 10.0
"""The same for frames of every kind; a page that sends more is cut off with 1008."""

TYPINGS_PER_SECOND = 1.0
"""How many of a page's frames about typing are heeded every second."""

SETTLED = 1.5
"""Seconds after a reading until the next one that follows a break: a message may have been under way just then."""

_Ids = Annotated[list[Annotated[int, Field(ge=1, le=MAX_ID)]], Field(max_length=200)]


class WrittenFrame(BaseModel):
    """A message of the user's; `client_id` is the page's own id, by which a repetition is told."""

    type: Literal["message"]
    client_id: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{8,64}$")]
    text: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=MAX_TEXT), Storable]


class ShownFrame(BaseModel):
    """Messages that the page has, or that it shows."""

    type: Literal["delivered", "read"]
    ids: _Ids


class PingFrame(BaseModel):
    """The page wants to know whether anybody is there."""

    type: Literal["ping"]


class TypingFrame(BaseModel):
    """Somebody is writing, and has not sent it yet."""

    type: Literal["typing"]


_FRAME: TypeAdapter[WrittenFrame | ShownFrame | TypingFrame | PingFrame] = TypeAdapter(
    Annotated[WrittenFrame | ShownFrame | TypingFrame | PingFrame, Field(discriminator="type")]
)
_MOVES = {"delivered": DeliveryStatus.DELIVERED, "read": DeliveryStatus.READ}


class WidgetSocket:
    """One accepted connection of one visitor of one chatbot; `after` is the last message that the page has."""

    def __init__(self, widget: Widget, websocket: WebSocket, chatbot_id: int, visitor: str, after: int) -> None:
        self._widget = widget
        self._websocket = websocket
        self._chatbot_id = chatbot_id
        self._visitor = visitor
        self._after = after
        self._told: set[int] = set()
        self._typing = False
        self._messages = Bucket(BURST, PER_SECOND)
        self._frames = Bucket(FRAMES_BURST, FRAMES_PER_SECOND)
        self._typings = Bucket(3, TYPINGS_PER_SECOND)
        self._turn = asyncio.Lock()

    async def serve(self) -> None:
        """Talks with the page until it goes away or misbehaves."""
        with self._widget.listen(self._chatbot_id, self._visitor) as news:
            await self._send_reading("ready")
            telling = asyncio.create_task(self._tell(news))
            hearing = asyncio.create_task(self._hear())
            try:
                await asyncio.wait({telling, hearing}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in (telling, hearing):
                    task.cancel()
                results = await asyncio.gather(telling, hearing, return_exceptions=True)
        if self._websocket.client_state is not WebSocketState.CONNECTED:
            return  # then whatever could not be sent to it is no error
        for result in results:
            if isinstance(result, Exception) and not isinstance(result, WebSocketDisconnect):
                log.error("widget connection broke", chatbot_id=self._chatbot_id, exc_info=result)
                await self._close(1011, "something went wrong; please connect again")

    async def _hear(self) -> None:
        """What the page sends."""
        while True:
            raw = await self._websocket.receive_text()
            if len(raw.encode(errors="replace")) > MAX_FRAME:
                return await self._close(1009, "the frame is too long")
            if not self._frames.take():
                return await self._close(1008, "too many frames")
            try:
                frame = _FRAME.validate_json(raw)
            except ValidationError as error:
                await self._refuse_unreadable(raw, error)
                continue
            match frame:
                case WrittenFrame():
                    await self._take(frame)
                case ShownFrame():
                    await self._widget.mark_shown(self._chatbot_id, self._visitor, frame.ids, _MOVES[frame.type])
                case TypingFrame():
                    if self._typings.take():
                        await self._widget.note_typing(self._chatbot_id, self._visitor)
                case PingFrame():
                    await self._send({"type": "pong"})

    async def _take(self, frame: WrittenFrame) -> None:
        """Stores a message. It is acknowledged when it is stored, and a repetition is acknowledged again."""
        if not self._messages.take():
            await self._refuse(frame.client_id, "Please wait a moment before you write more.", again=True)
            return
        try:
            stored = await self._widget.write(self._chatbot_id, self._visitor, frame.text, frame.client_id)
        except UserError as error:
            await self._refuse(frame.client_id, str(error), again=False)
            return
        self._told.add(stored.message_id)
        await self._send({"type": "taken", "client_id": frame.client_id, "id": stored.message_id})
        await self._widget.tell(self._chatbot_id, self._visitor, stored.message_id)

    async def _tell(self, news: News) -> None:
        """What the page does not know yet: pushed, or found by looking again."""
        wait = self._widget.look_again
        while True:
            try:
                async with asyncio.timeout(wait):  # not wait_for, which may swallow a cancellation (Python 3.11)
                    text = await news.next()
            except TimeoutError:
                wait = self._widget.look_again
                await self._send_reading("missed")
                continue
            if text is None:
                wait = min(SETTLED, self._widget.look_again)
                await self._send_reading("missed")
            elif text.isdecimal():
                found = await self._widget.read_message(self._chatbot_id, self._visitor, int(text))
                await self._send_new("message", found)

    async def _send_reading(self, kind: str) -> None:
        after = max(self._told, default=self._after)
        reading = await self._widget.read(self._chatbot_id, self._visitor, after)
        await self._send_new(kind, reading)

    async def _send_new(self, kind: str, reading: Reading) -> None:
        """Sends what this connection has not said yet. An answer ends the typing before it is there."""
        new = [message for message in reading.messages if message.id not in self._told]
        self._told.update(message.id for message in new)
        shown = [message.as_dict() for message in new]
        if kind == "ready":
            self._typing = reading.typing
            await self._send({"type": kind, "messages": shown, "typing": reading.typing})
            return
        if new:
            await self._send({"type": kind, "messages": shown})
        if reading.typing != self._typing:
            self._typing = reading.typing
            await self._send({"type": "typing", "on": reading.typing})

    async def _refuse_unreadable(self, raw: str, error: ValidationError) -> None:
        """Says what is wrong with a frame; the page shows it beside the message that it was about."""
        client_id = _client_id(raw)
        found = error.errors()[0]["type"]
        if found == "string_too_long":
            why = f"A message has at most {MAX_TEXT:,} characters."
        elif found == "string_too_short":
            why = "There is nothing in the message."
        else:
            why = "This was not understood; reload the page and try again."
        await self._refuse(client_id, why, again=False)

    async def _refuse(self, client_id: str | None, why: str, *, again: bool) -> None:
        await self._send({"type": "refused", "client_id": client_id, "why": why, "again": again})

    async def _send(self, frame: Mapping[str, Any]) -> None:
        async with self._turn:
            await self._websocket.send_text(json.dumps(frame, ensure_ascii=False))

    async def _close(self, code: int, reason: str) -> None:
        if self._websocket.application_state is WebSocketState.CONNECTED:
            with suppress(RuntimeError, WebSocketDisconnect):
                await self._websocket.close(code, reason)


def _client_id(raw: str) -> str | None:
    with suppress(ValueError, RecursionError):
        frame = json.loads(raw)
        found = frame.get("client_id") if isinstance(frame, dict) else None
        return found if isinstance(found, str) and len(found) <= 64 else None
    return None
