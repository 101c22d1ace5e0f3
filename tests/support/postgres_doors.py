"""Doors before PostgreSQL as hosts have them: one that encrypts, and PgBouncer."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import ssl
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path

from sqlalchemy import make_url

from support.servers import free_port

_SSL_REQUEST = bytes.fromhex("0000000804d2162f")
PGBOUNCER = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")


_CONFIG = """[databases]
* = host={folder} user=postgres
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = {pool_size}
max_client_conn = 200
"""


def parts_of(address: str) -> tuple[str, str]:
    """The folder of a test server's socket, and the database's name."""
    url = make_url(address)
    folder = url.query["host"]
    assert isinstance(folder, str)
    return folder, url.database or ""


@asynccontextmanager
async def encrypting(address: str, context: ssl.SSLContext) -> AsyncIterator[int]:
    """A port that lets in whoever asks for TLS (PostgreSQL's manual, "SSL Session Encryption"), and nobody else."""
    folder, _ = parts_of(address)
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        tasks.add(task)
        try:
            if await reader.readexactly(8) != _SSL_REQUEST:
                return
            writer.write(b"S")
            await writer.start_tls(context)
            inner, outer = await asyncio.open_unix_connection(f"{folder}/.s.PGSQL.5432")
            try:
                await asyncio.gather(_pipe(reader, outer), _pipe(inner, writer))
            finally:
                outer.close()
        except (OSError, asyncio.IncompleteReadError, ssl.SSLError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()


@contextmanager
def pgbouncer(address: str, *, pool_size: int) -> Iterator[int]:
    """The port of a PgBouncer that gives each transaction one of `pool_size` connections of the server."""
    assert PGBOUNCER
    socket_folder, _ = parts_of(address)
    port, user = free_port(), Path(socket_folder).owner() if os.getuid() == 0 else None  # as root it does not run
    with tempfile.TemporaryDirectory(prefix="tidings-pgbouncer-") as folder:
        config = Path(folder, "pgbouncer.ini")
        config.write_text(_CONFIG.format(folder=socket_folder, port=port, pool_size=pool_size))
        config.parent.chmod(0o755)
        with subprocess.Popen([PGBOUNCER, "-q", str(config)], user=user) as process:
            try:
                while not _listens(port):
                    assert process.poll() is None, "pgbouncer has ended"
                yield port
            finally:
                process.terminate()


def _listens(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False
