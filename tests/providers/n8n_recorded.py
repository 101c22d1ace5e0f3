"""What n8n 2.41 answered to a POST of HELLO, byte for byte, and what it means; `tests/n8n` asks the real one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import pytest

from tidings.errors import SendError
from tidings.providers.base import Outgoing, Receipt
from tidings.providers.n8n import N8n

HELLO = Outgoing(
    to="+18105550123",
    text="hi",
    idempotency_key="event-message-8-1",
    metadata={"message_id": 8, "event_id": 3},
    name="event-message-8",
)

Meaning = Literal["sent", "away", "failed", "refused"]
"""failed: handed over, and to be tried again by the queue's rule."""

_HINT = (
    b'"hint":"The workflow must be active for a production URL to run successfully. You can activate the workflow '
    b"using the toggle in the top-right of the editor. Note that unlike test URL calls, production URL calls aren't "
    b'shown on the canvas (only in the executions list)"'
)
_CANNOT_POST = (
    b'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>Error</title>\n</head>\n<body>\n'
    b"<pre>Cannot POST /%b</pre>\n</body>\n</html>\n"
)
_LOGIN = b'WWW-Authenticate: Basic realm="Webhook"\r\n'


@dataclass(frozen=True)
class Recorded:
    """One answer. `id` is the provider's id that it tells, `says` a part of the error's sentence."""

    status: int
    body: bytes
    meaning: Meaning
    id: str | None = None
    says: str = ""
    headers: bytes = b""


BOOTING = {
    "starting": Recorded(200, b"n8n is starting up. Please wait", "away", says="n8n is starting up"),
    "no-routes": Recorded(404, _CANNOT_POST % b"webhook/immediately", "away", says="it is starting"),
    "no-database": Recorded(503, b'{"code":503,"message":"Database is not ready!"}', "away"),
}
"""While it boots."""

WEBHOOKS = {
    "immediately": Recorded(200, b'{"message":"Workflow was started"}', "sent"),
    "last-first": Recorded(
        200, b'{"sid":"SM1","account_sid":"AC1","status":"queued","error_code":null}', "sent", id="SM1"
    ),
    "last-all": Recorded(200, b'[{"sid":"SM2"}]', "sent", id="SM2"),
    "last-no-data": Recorded(200, b"", "sent"),
    "last-none": Recorded(500, b'{"code":0,"message":"No item to return was found"}', "failed"),
    "fails": Recorded(500, b'{"message":"Error in workflow"}', "failed"),
    "fails-later": Recorded(200, b'{"message":"Workflow was started"}', "sent"),
    "responds": Recorded(200, b'{"sid":"SM4"}', "sent", id="SM4"),
    "responds-items": Recorded(200, b'[{"sid":"SM5"}]', "sent", id="SM5"),
    "responds-text": Recorded(200, b"queued", "sent"),
    "responds-204": Recorded(204, b"", "sent"),
    "responds-404": Recorded(404, b'{"error":"no such number"}', "refused", says="no such number"),
    "responds-403": Recorded(403, b"opted out", "refused", says="opted out"),
    "responds-nothing": Recorded(
        500, b'{"code":0,"message":"No Respond to Webhook node found in the workflow"}', "failed"
    ),
    "basic": Recorded(401, b"Authorization is required!", "away", says="user:password@", headers=_LOGIN),
    "header": Recorded(403, b"Authorization data is wrong!", "away", says="N8N_OUTBOUND_HEADER_NAME", headers=_LOGIN),
    "jwt": Recorded(401, b"No token provided", "away", says="N8N_OUTBOUND_HEADER_VALUE", headers=_LOGIN),
    "not-from-here": Recorded(403, b"IP is not allowed to access the webhook!", "away", says="allow the address"),
    "for-people": Recorded(200, b'{"message":"Workflow was started"}', "sent"),
    "takes-get": Recorded(
        404,
        b'{"code":404,"message":"This webhook is not registered for POST requests. '
        b'Did you mean to make a GET request?"}',
        "away",
        says="its POST webhook",
    ),
    "unknown": Recorded(
        404,
        b'{"code":404,"message":"The requested webhook \\"POST unknown\\" is not registered.",%b}' % _HINT,
        "away",
        says="publish the workflow",
    ),
}
"""By the path of the webhook, which tells what stands there; `unknown` is none."""


async def expect(n8n: N8n, recorded: Recorded) -> None:
    """Sends HELLO, whose answer is the recorded one."""
    if recorded.meaning == "sent":
        assert await n8n.send(HELLO) == Receipt("n8n", recorded.id)
        return
    with pytest.raises(SendError) as caught:
        await n8n.send(HELLO)
    error = caught.value
    meanings = {"away": (True, True), "failed": (False, True), "refused": (False, False)}
    assert (error.away, error.retryable) == meanings[recorded.meaning]
    assert recorded.says in str(error)
