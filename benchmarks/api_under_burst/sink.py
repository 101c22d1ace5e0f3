"""A provider of text messages on loopback that takes everything at once, in a process of its own.

Prints its port when it listens. `GET` answers with how many messages it has taken.
"""

from __future__ import annotations

import asyncio

import uvloop


class Sink:
    """Takes posts, and counts them."""

    def __init__(self) -> None:
        self.taken = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answers one connection until it ends."""
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).lower()
                body = b""
                if head.startswith(b"post"):
                    self.taken += 1
                    await reader.readexactly(int(head.partition(b"content-length:")[2].split(b"\r\n", 1)[0]))
                else:
                    body = str(self.taken).encode()
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body))
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()


async def main() -> None:
    """Serves until the process is ended."""
    server = await asyncio.start_server(Sink().serve, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main())
