"""News for whoever listens right now, in every process that shares the Redis: publish and subscribe.

Nothing is kept. A listener that was away has missed what was said, and is told that it may have: whoever needs to
know reads the database again then.
"""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import RedisError

from tidings.errors import QueueUnavailable
from tidings.log import get_logger

log = get_logger(__name__)

MOST_UNREAD = 1000
"""News that a slow listener may leave unread; then it is told that it has missed some."""

FIRST_PAUSE, LONGEST_PAUSE = 0.1, 5.0
"""Seconds between two tries to reach Redis: doubled each time."""

_LOOK = 5.0  # seconds of one look for news


class News:
    """What one listener has not read yet."""

    def __init__(self) -> None:
        self._unread: asyncio.Queue[str | None] = asyncio.Queue()

    async def next(self) -> str | None:
        """The next text; None when any number of texts may have been missed before the ones that follow.

        The first is always None, said as soon as texts are heard: what was published earlier was not.
        """
        return await self._unread.get()

    def put(self, text: str | None) -> None:
        """Adds a text, or the word that some were missed."""
        if self._unread.qsize() >= MOST_UNREAD:
            while not self._unread.empty():
                self._unread.get_nowait()
            text = None
        self._unread.put_nowait(text)


class Broadcast:
    """Topics on one Redis; `prefix` keeps installations apart.

    `connect` opens a fresh client. All topics share one Redis channel and all listeners of a process one connection,
    opened by the first of them: subscribing to a topic asks nothing of Redis.
    """

    def __init__(self, connect: Callable[[], Redis], *, prefix: str) -> None:
        self._connect = connect
        self._channel = f"{prefix}:tidings:news"
        self._listeners: dict[str, set[News]] = {}
        self._hears = False
        self._publisher: Redis | None = None
        self._listening: asyncio.Task[None] | None = None

    async def publish(self, topic: str, text: str) -> None:
        """Tells every listener of the topic. Raises QueueUnavailable."""
        if self._publisher is None:
            self._publisher = self._connect()
        try:
            await self._publisher.publish(self._channel, json.dumps([topic, text]))
        except (RedisError, OSError) as error:
            raise QueueUnavailable(f"Redis does not answer: {error}") from error

    @contextmanager
    def listen(self, topic: str) -> Iterator[News]:
        """News of one topic, for as long as the context lasts."""
        news = News()
        listeners = self._listeners.setdefault(topic, set())
        listeners.add(news)
        if self._hears:
            news.put(None)
        if self._listening is None:
            self._listening = asyncio.create_task(self._listen())
        try:
            yield news
        finally:
            listeners.discard(news)
            if not listeners and self._listeners.get(topic) is listeners:
                del self._listeners[topic]

    async def close(self) -> None:
        """Ends listening and drops the connections."""
        if self._listening is not None:
            self._listening.cancel()
            with suppress(asyncio.CancelledError):
                await self._listening
            self._listening = None
        if self._publisher is not None:
            await self._publisher.aclose()
            self._publisher = None

    async def _listen(self) -> None:
        pause = FIRST_PAUSE
        while True:
            client = self._connect()
            try:
                async with client.pubsub() as pubsub:
                    await pubsub.subscribe(self._channel)
                    while True:
                        message = await pubsub.get_message(timeout=_LOOK)
                        pause = FIRST_PAUSE
                        if message is not None:
                            self._hear(message)
            except Exception as error:
                log.warning("news are not heard", error=str(error))
            finally:
                self._hears = False
                await client.aclose()
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE)

    def _hear(self, message: Mapping[str, Any]) -> None:
        """Passes a text on, or after a subscription, a repeated one too, the word that some may have been missed."""
        if message["type"] == "subscribe":
            self._hears = True
            for news in itertools.chain.from_iterable(self._listeners.values()):
                news.put(None)
        elif message["type"] == "message":
            topic, text = json.loads(message["data"])
            for news in self._listeners.get(topic, ()):
                news.put(text)
