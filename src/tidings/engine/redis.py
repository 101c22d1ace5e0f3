"""Connections to Redis or Valkey, and whether a server is fit to keep the queues."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from redis import exceptions
from redis.asyncio import Redis, SSLConnection
from redis.asyncio.retry import Retry
from redis.backoff import EqualJitterBackoff
from redis.driver_info import DriverInfo
from redis.maint_notifications import MaintNotificationsConfig

from tidings.engine.addresses import EXAMPLE, read_address
from tidings.errors import ConfigurationError, QueueUnavailable

CONNECT_TIMEOUT = 5.0  # seconds
READ_TIMEOUT = 10.0  # seconds
ASKED_TIMEOUT = 3.0  # seconds that an answer may take which somebody waits for, and connecting for it
IDLE_CHECK = 30  # seconds after which an idle connection is tried before it is used
CHECK_TIMEOUT = 10.0  # seconds that check_server waits, repetitions included
_OLDEST = (6, 2)
_DRIVER = DriverInfo()
"""What connections say of themselves. Left to itself, each reads its version from the installed files anew."""

_T = TypeVar("_T")


@dataclass(frozen=True)
class ServerFacts:
    """What a server says of itself. `version` is Valkey's own when it is one, not the Redis version it stands for."""

    version: str
    is_valkey: bool
    maxmemory_policy: str


def connect(url: str, *, asked: bool = False) -> Redis:
    """A client for `url` (redis://, rediss:// or unix://). It connects with its first command.

    Commands run side by side, each on a connection of its own from the client's pool.
    A command that a lost connection broke is repeated, up to five times within about 2 s while the server is away.
    Workers have time, and repeat also what got no answer in 10 s; `asked` is for whoever somebody waits for: there
    one silence of 3 s is an error.
    Raises ConfigurationError for an address that cannot be read, or names a file that cannot.
    """
    read = read_address(url)
    read.look_for_files()
    broken = [exceptions.BusyLoadingError, exceptions.ConnectionError]
    try:
        client: Redis = Redis.from_url(
            read.url,
            decode_responses=True,
            socket_timeout=ASKED_TIMEOUT if asked else READ_TIMEOUT,
            socket_connect_timeout=ASKED_TIMEOUT if asked else CONNECT_TIMEOUT,
            health_check_interval=IDLE_CHECK,
            retry=_Retry(EqualJitterBackoff(cap=1.0, base=0.05), retries=5, repeats_silence=not asked),
            retry_on_error=broken if asked else [*broken, exceptions.TimeoutError],
            driver_info=_DRIVER,
            # A service of Redis Enterprise. With it the pool hands out connections that the server has closed.
            maint_notifications_config=MaintNotificationsConfig(enabled=False),
        )
        pool: Any = client.connection_pool
        pool.make_connection()  # an option in the address that redis-py does not know shows only here
    except (ValueError, TypeError, exceptions.RedisError) as error:
        unknown = re.search(r"unexpected keyword argument '(\w+)'", str(error))
        reason = f"has the option {unknown[1]}, which does not go with the others" if unknown else "cannot be used"
        raise ConfigurationError(f"REDIS_URL {reason}. Write it like {EXAMPLE}.") from None
    return client


async def check_server(client: Redis) -> ServerFacts:
    """What the server is, once it has proved fit to keep queues. Takes at most 10 s.

    Raises ConfigurationError with a sentence when the server does not answer, does not let Tidings in, is older than
    6.2, is a cluster or a replica, is still loading, or may evict keys.
    """
    where = f"Redis at {_address(client)}"
    info = await _info(client, where)
    is_valkey = "valkey_version" in info
    facts = ServerFacts(
        version=str(info.get("valkey_version" if is_valkey else "redis_version", "0")),
        is_valkey=is_valkey,
        maxmemory_policy=str(info.get("maxmemory_policy", "noeviction")),
    )
    if tuple(int(part) for part in re.findall(r"\d+", facts.version)[:2]) < _OLDEST:
        raise _too_old(where, facts.version)
    if info.get("cluster_enabled"):
        raise ConfigurationError(f"{where} is a cluster, which is not supported. Set REDIS_URL to a single server.")
    if info.get("role") == "slave":
        raise ConfigurationError(f"{where} is a read-only replica. Set REDIS_URL to its primary.")
    if info.get("loading"):
        raise ConfigurationError(f"{where} is still loading its data. Start Tidings again when it is ready.")
    if facts.maxmemory_policy != "noeviction":
        raise ConfigurationError(
            f"{where} may drop jobs (maxmemory-policy {facts.maxmemory_policy}). Set maxmemory-policy noeviction."
        )
    return facts


@asynccontextmanager
async def answering() -> AsyncIterator[None]:
    """Raises QueueUnavailable for whatever goes wrong with Redis inside."""
    try:
        yield
    except (exceptions.RedisError, OSError) as error:
        raise QueueUnavailable(f"Redis does not answer: {error}") from error


class _Retry(Retry):
    """Repeats what a lost connection or a loading server broke, but not what the server refused; what it gave no
    answer to with `repeats_silence` alone."""

    def __init__(self, backoff: EqualJitterBackoff, retries: int, *, repeats_silence: bool) -> None:
        super().__init__(backoff, retries)
        self._refused: tuple[type[Exception], ...] = (
            exceptions.AuthenticationError,
            exceptions.AuthorizationError,
            *(() if repeats_silence else (exceptions.TimeoutError,)),
        )

    async def call_with_retry(
        self,
        do: Callable[[], Awaitable[_T]],
        fail: Callable[..., Any],
        is_retryable: Callable[[Exception], bool] | None = None,
        with_failure_count: bool = False,
    ) -> _T:
        def may_heal(error: Exception) -> bool:
            return not isinstance(error, self._refused) and (is_retryable is None or is_retryable(error))

        return await super().call_with_retry(do, fail, may_heal, with_failure_count)


async def _info(client: Redis, where: str) -> dict[str, Any]:
    try:
        async with asyncio.timeout(CHECK_TIMEOUT):
            info: dict[str, Any] = await client.info()
            return info
    except (exceptions.AuthenticationError, exceptions.AuthorizationError) as error:
        if client.connection_pool.connection_kwargs.get("password") is None:
            hint = "wants a password. Put it into REDIS_URL, as in redis://:password@host:6379"
        else:
            hint = f"refuses the user or password in REDIS_URL ({str(error).rstrip('.')}). Correct them"
        raise ConfigurationError(f"{where} {hint}.") from error
    except exceptions.NoPermissionError as error:
        raise ConfigurationError(
            f"{where} allows the user in REDIS_URL too little ({error}). Let it run every command on the queue keys."
        ) from error
    except exceptions.ResponseError as error:
        if "unknown command" in str(error).lower():  # HELLO, with which redis-py greets, came with Redis 6
            raise _too_old(where, "5 or older") from error
        raise ConfigurationError(f"{where} cannot be used: {error}.") from error
    except (exceptions.RedisError, OSError) as error:
        reason = "nothing within 10 s" if isinstance(error, TimeoutError) else str(error).rstrip(".")
        if isinstance(error.__context__, ConnectionRefusedError | FileNotFoundError):
            reason = "nothing listens there"
        raise ConfigurationError(
            f"{where} does not answer: {reason}; start it or unset REDIS_URL to use the embedded one."
        ) from error


def _too_old(where: str, version: str) -> ConfigurationError:
    return ConfigurationError(f"{where} has version {version}. Tidings needs Redis 6.2 or newer, or Valkey.")


def _address(client: Redis) -> str:
    options = client.connection_pool.connection_kwargs
    if "path" in options:
        return f"unix://{options['path']}"
    scheme = "rediss" if issubclass(client.connection_pool.connection_class, SSLConnection) else "redis"
    host = str(options.get("host", "localhost"))
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{options.get('port', 6379)}/{options.get('db', 0)}"
