"""A real Chromium without a window, driven over the DevTools protocol (https://chromedevtools.github.io)."""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
import os
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Self

import pytest
from websockets.asyncio.client import ClientConnection, connect

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-startup-window",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--remote-debugging-port=0",
)


def find_chromium() -> str:
    """The browser's program. Without one a test is skipped; in CI it fails."""
    found = [path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))]
    if not found:
        hint = "Chromium is not here; install Debian's package chromium"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(hint)
    return found[0]


class Browser:
    """One browser process."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._numbers = itertools.count(1)
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self.events: list[dict[str, Any]] = []
        self._reading = asyncio.create_task(self._read())

    @classmethod
    @asynccontextmanager
    async def started(cls) -> AsyncIterator[Self]:
        with tempfile.TemporaryDirectory(prefix="tidings-browser-", ignore_cleanup_errors=True) as folder:
            process = await asyncio.create_subprocess_exec(
                find_chromium(),
                *FLAGS,
                f"--user-data-dir={folder}",
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.DEVNULL,
            )
            try:
                async with connect(await _address(Path(folder)), max_size=None) as socket:
                    browser = cls(socket)
                    yield browser
                    browser._reading.cancel()
            finally:
                process.kill()
                await process.wait()

    async def open(self, address: str, *, width: int = 420, height: int = 720, dark: bool = False) -> Tab:
        """A new tab with this page."""
        context = await self.call("Target.createBrowserContext")
        target = await self.call("Target.createTarget", url="about:blank", **context)
        attached = await self.call("Target.attachToTarget", targetId=target["targetId"], flatten=True)
        tab = Tab(self, attached["sessionId"])
        await tab.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=2, mobile=False
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        await tab.call("Emulation.setEmulatedMedia", features=[scheme])
        for domain in ("Page", "Log", "Runtime"):
            await tab.call(f"{domain}.enable")
        await tab.call("Page.navigate", url=address)
        return tab

    async def call(self, method: str, *, session: str | None = None, **parameters: Any) -> dict[str, Any]:
        number = next(self._numbers)
        self._answers[number] = answer = asyncio.get_running_loop().create_future()
        frame = {"id": number, "method": method, "params": parameters}
        await self._socket.send(json.dumps(frame if session is None else {**frame, "sessionId": session}))
        async with asyncio.timeout(20):
            return await answer

    async def _read(self) -> None:
        async for raw in self._socket:
            frame = json.loads(raw)
            answer = self._answers.pop(frame.get("id"), None)
            if answer is None or answer.done():
                self.events.append(frame)
                continue
            if "error" in frame:
                answer.set_exception(AssertionError(frame["error"]["message"]))
            else:
                answer.set_result(frame["result"])


class Tab:
    """One page."""

    def __init__(self, browser: Browser, session: str, context: int | None = None) -> None:
        self._browser = browser
        self._session = session
        self._context = {} if context is None else {"contextId": context}

    async def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        return await self._browser.call(method, session=self._session, **parameters)

    async def look(self, script: str) -> Any:
        """What an expression is in the page."""
        wanted = {"expression": script, "returnByValue": True, "awaitPromise": True, **self._context}
        result = await self.call("Runtime.evaluate", **wanted)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    async def sees(self, script: str) -> Any:
        """The value of an expression, once it is true in a condition."""
        async with asyncio.timeout(20):
            while not (value := await self.look(script)):
                await asyncio.sleep(0.02)
        return value

    async def frame_of(self, origin: str) -> Tab:
        """The frame in this page that shows a page of `origin`, once it is there."""
        async with asyncio.timeout(20):
            while True:
                for event in self._events():
                    context = event.get("params", {}).get("context", {})
                    if event["method"] == "Runtime.executionContextCreated" and context["origin"] == origin:
                        return Tab(self._browser, self._session, context["id"])
                await asyncio.sleep(0.02)

    async def complains(self, words: str) -> None:
        """Waits until the browser has said something with these words about the page."""
        async with asyncio.timeout(20):
            while not any(words in json.dumps(event) for event in self._events()):
                await asyncio.sleep(0.02)

    def _events(self) -> list[dict[str, Any]]:
        return [event for event in self._browser.events if event.get("sessionId") == self._session]

    async def write(self, text: str) -> None:
        """Types into what has the focus, and presses Enter."""
        await self.call("Input.insertText", text=text)
        for kind in ("keyDown", "keyUp"):
            await self.call(
                "Input.dispatchKeyEvent", type=kind, key="Enter", code="Enter", windowsVirtualKeyCode=13, text="\r"
            )

    async def picture(self) -> bytes:
        """What the page looks like, as a PNG."""
        shot = await self.call("Page.captureScreenshot", format="png")
        return base64.b64decode(shot["data"])


@asynccontextmanager
async def web_site(html: str) -> AsyncIterator[str]:
    """A web site of somebody else's, with one page; gives its origin."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        body = html.encode()
        head = (
            f"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n"
        )
        writer.write(head.encode() + body)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    server.close()
    await server.wait_closed()


async def _address(folder: Path) -> str:
    file = folder / "DevToolsActivePort"
    async with asyncio.timeout(30):
        while not file.exists() or len(lines := file.read_text().splitlines()) < 2:
            await asyncio.sleep(0.02)
    return f"ws://127.0.0.1:{lines[0]}{lines[1]}"
