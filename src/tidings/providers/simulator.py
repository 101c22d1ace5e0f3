"""The provider while none is configured: keeps what it would have sent, and sends nothing."""

from __future__ import annotations

import json
import os
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from tidings.clock import SystemClock
from tidings.errors import SendError
from tidings.log import get_logger
from tidings.providers.base import Outgoing, Receipt

log = get_logger(__name__)

WHAT_TO_SET = {"sms": "N8N_OUTBOUND_WEBHOOK_URL or MITTO_API_KEY", "email": "SMTP_HOST"}
"""The variables that give a channel a provider."""


@dataclass(frozen=True, slots=True)
class SimulatedMessage:
    """A message as the world would have got it. `at` is UTC on the world's clock, even in a sped-up demo."""

    at: datetime
    to: str
    text: str
    subject: str | None
    idempotency_key: str
    metadata: Mapping[str, Any]


class Simulator:
    """Keeps every message in `messages` and, with a `path`, as a line of JSON in that file.

    A message whose idempotency key it already knows is acknowledged and not kept again; keys in the file
    count, also those that other processes add. The file and its folder appear with the first message,
    the file readable by its owner only. Raises OSError when an existing file cannot be read.

    What it takes is `simulated`, unless it `stands_in` for a provider, as in a rehearsal, where it counts as sent.
    With `per_second` it has the manners of a carrier: of more messages than that in a second it refuses the
    rest and asks for a second's patience, so that a rehearsal shows what happens then.
    """

    name = "simulator"
    drops_repetitions = True

    def __init__(self, path: Path | None = None, *, per_second: int | None = None, stands_in: bool = False) -> None:
        self.simulates = not stands_in
        self.refused = 0
        self._per_second = per_second
        self._taken: deque[float] = deque()  # monotonic seconds of what was taken within the last one
        self.messages: list[SimulatedMessage] = []
        self._path = path
        self._keys: set[str] = set()
        self._read_to = 0  # bytes of the file whose keys are known
        self._watchers: list[Callable[[SimulatedMessage], None]] = []
        if path is not None and path.exists():
            with path.open("rb") as file:
                self._learn_keys(file.fileno())

    async def send(self, outgoing: Outgoing) -> Receipt:
        """Keeps the message; its provider id is `sim-` and the idempotency key.

        Raises SendError: throttled when it gets too many, retryable when the file cannot be written, final when
        the metadata is not JSON.
        """
        if self._per_second is not None:
            self._admit(self._per_second)
        message = SimulatedMessage(
            at=SystemClock().now(),
            to=outgoing.to,
            text=outgoing.text,
            subject=outgoing.subject,
            idempotency_key=outgoing.idempotency_key,
            metadata={
                **outgoing.metadata,
                **({"unsubscribe": outgoing.unsubscribe} if outgoing.unsubscribe is not None else {}),
            },
        )
        if message.idempotency_key not in self._keys and self._store(message):
            self._keys.add(message.idempotency_key)
            self.messages.append(message)
            self._tell(message)
        return Receipt(self.name, f"sim-{message.idempotency_key}", simulated=self.simulates)

    def on_message(self, callback: Callable[[SimulatedMessage], None]) -> Callable[[], None]:
        """Calls `callback` with every message kept from now on; returns a function that ends this.

        The callback runs in the event loop and must not wait. What it raises is logged and disturbs nobody.
        """
        self._watchers.append(callback)

        def stop() -> None:
            if callback in self._watchers:
                self._watchers.remove(callback)

        return stop

    def _admit(self, per_second: int) -> None:
        now = time.monotonic()
        while self._taken and self._taken[0] <= now - 1.0:
            self._taken.popleft()
        if len(self._taken) >= per_second:
            self.refused += 1
            raise SendError(
                "the simulator answered 429: too many messages", retryable=True, retry_after=1.0, throttled=True
            )
        self._taken.append(now)

    async def close(self) -> None:
        """Nothing to release: the file is open only while a line is written."""

    def _store(self, message: SimulatedMessage) -> bool:
        """Whether the message was new to the file, and is now in it."""
        if self._path is None:
            return True
        line = _line(message)
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
            try:
                torn = self._learn_keys(file)
                if message.idempotency_key in self._keys:
                    return False
                data = b"\n" + line if torn else line
                if os.write(file, data) < len(data):
                    raise OSError("the disk is full")
            finally:
                os.close(file)
        except OSError as error:
            raise SendError(
                f"the simulator cannot write to its file: {error.strerror or error}", retryable=True
            ) from error
        return True

    def _learn_keys(self, file: int) -> bool:
        """Reads what has been added to the file. Whether its last line is torn, as a crash leaves it."""
        size = os.fstat(file).st_size
        if size < self._read_to:  # somebody emptied it
            self._read_to = 0
        os.lseek(file, self._read_to, os.SEEK_SET)
        added = os.read(file, size - self._read_to)
        *lines, rest = added.split(b"\n")
        self._keys.update(filter(None, map(_key, lines)))
        self._read_to += len(added) - len(rest)
        return bool(rest)

    def _tell(self, message: SimulatedMessage) -> None:
        for watcher in tuple(self._watchers):
            try:
                watcher(message)
            except Exception as error:
                log.warning("a watcher of the simulator failed", error=repr(error))


def _line(message: SimulatedMessage) -> bytes:
    try:
        text = json.dumps(
            {
                "at": message.at.isoformat(),
                "to": message.to,
                "text": message.text,
                "subject": message.subject,
                "idempotency_key": message.idempotency_key,
                "metadata": message.metadata,
            },
            ensure_ascii=False,
        )
    except (TypeError, ValueError, RecursionError) as error:
        raise SendError(f"the simulator cannot keep the message: {error}", retryable=False) from error
    # Half a surrogate pair has no UTF-8; Python's escape for it is JSON's as well.
    return text.encode("utf-8", errors="backslashreplace") + b"\n"


def _key(line: bytes) -> str | None:
    try:
        message = json.loads(line)
    except (ValueError, RecursionError):
        return None
    key = message.get("idempotency_key") if isinstance(message, dict) else None
    return key if isinstance(key, str) else None
