"""Looks up where a host is, without letting one customer's slow name server hold up everybody else."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

THREADS = 16
"""Look-ups that may wait for name servers at the same time."""


class Resolver(Protocol):
    """Knows the addresses of hosts."""

    async def resolve(self, host: str, port: int) -> Sequence[str]:
        """The addresses of `host`, the preferred one first. Raises OSError when there is none to be found."""
        ...

    async def close(self) -> None:
        """Releases what look-ups need."""
        ...


class SystemResolver:
    """Asks the operating system (getaddrinfo), in threads of its own.

    The loop's own threads look up the database and Redis too, and a name server that does not answer keeps a
    thread for half a minute. For the same reason one host is looked up once at a time, whoever asks. Nothing is
    remembered: the operating system knows how long an answer holds.
    """

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="webhook-names")
        self._under_way: dict[tuple[str, int], asyncio.Future[list[str]]] = {}

    async def resolve(self, host: str, port: int) -> Sequence[str]:
        """The addresses of `host`, in the order of RFC 6724. Raises OSError (socket.gaierror)."""
        key = (host, port)
        found = self._under_way.get(key)
        if found is None:
            found = asyncio.get_running_loop().run_in_executor(self._threads, _addresses, host, port)
            self._under_way[key] = found
            found.add_done_callback(lambda done: self._forget(key, done))
        try:
            return await asyncio.shield(found)  # whoever gives up waiting does not take the answer from the others
        except asyncio.CancelledError:
            if found.cancelled():  # by `close`, which is no cancellation of whoever asked
                raise OSError(errno.ECANCELED, "look-ups have ended") from None
            raise

    async def close(self) -> None:
        """Starts no more look-ups and does not wait for those under way."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _forget(self, key: tuple[str, int], done: asyncio.Future[list[str]]) -> None:
        del self._under_way[key]
        if not done.cancelled():
            done.exception()  # nobody may be waiting any more, and that is no reason to complain


def _addresses(host: str, port: int) -> list[str]:
    answers = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
    return list(dict.fromkeys(str(address[0]) for *_, address in answers))
