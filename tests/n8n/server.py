"""The real n8n: installed by `make test-n8n`, with a Node of its own, on a PostgreSQL of the tests'."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx

from n8n.workflows import Json
from support.servers import free_port

INSTALLED = Path(__file__).parent / "node_modules"

BOOT = 200.0
"""Seconds that n8n has to begin or to end."""


def place_of(database: str) -> tuple[str, str]:
    """The folder of the socket and the name, out of an address of the tests' PostgreSQL."""
    parts = urlsplit(database)
    return parse_qs(parts.query)["host"][0], parts.path.removeprefix("/")


class N8n:
    """One n8n, which may be started and stopped; what it knows stays in the database at `database`."""

    def __init__(self, database: str, folder: Path) -> None:
        socket, name = place_of(database)
        self.port, broker = free_port(), free_port()
        self.log = folder / "n8n.log"
        self._folder = folder
        self._environment = {
            **{name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ},
            "NODE_ENV": "production",
            "DB_TYPE": "postgresdb",
            "DB_POSTGRESDB_HOST": socket,
            "DB_POSTGRESDB_DATABASE": name,
            "DB_POSTGRESDB_USER": "postgres",
            "N8N_USER_FOLDER": str(folder),
            "N8N_LISTEN_ADDRESS": "127.0.0.1",
            "N8N_PORT": str(self.port),
            "N8N_RUNNERS_BROKER_PORT": str(broker),
            "N8N_ENFORCE_SETTINGS_FILE_PERMISSIONS": "false",
            "N8N_GRACEFUL_SHUTDOWN_TIMEOUT": str(int(BOOT / 2)),
            "N8N_SECURE_COOKIE": "false",
            "N8N_DIAGNOSTICS_ENABLED": "false",
            "N8N_VERSION_NOTIFICATIONS_ENABLED": "false",
            "N8N_TEMPLATES_ENABLED": "false",
            "N8N_COMMUNITY_PACKAGES_ENABLED": "false",
            "N8N_DISABLED_MODULES": "instance-ai,mcp,chat-hub",
        }
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def webhook(self, path: str) -> str:
        """The production URL of a webhook."""
        return f"{self.address}/webhook/{path}"

    def load(self, workflows: Iterable[Json], credentials: Iterable[Json]) -> None:
        """Imports workflows and credentials by n8n's command line; it must not run."""
        for kind, things in (("credentials", credentials), ("workflow", workflows)):
            file = self._folder / f"{kind}.json"
            file.write_text(json.dumps(list(things)))
            self._command(f"import:{kind}", f"--input={file}")

    def start(self) -> None:
        """Begins to boot."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._arguments("start"),
                env=self._environment,
                cwd=self._folder,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    @property
    def is_running(self) -> bool:
        return self._process is not None

    async def takes(self, *paths: str) -> None:
        """Waits until all these webhooks take POSTs. They are asked by GET, which n8n refuses without a trace."""
        for path in paths:
            await self._says(f"/webhook/{path}", "make a POST request")

    async def is_ready(self) -> None:
        """Waits until it has booted."""
        await self._says("/healthz/readiness", '"ok"')

    async def _says(self, path: str, words: str) -> None:
        async with httpx.AsyncClient() as client, asyncio.timeout(BOOT):
            while words not in await self._answer(client, path):
                await asyncio.sleep(0.05)

    async def _answer(self, client: httpx.AsyncClient, path: str) -> str:
        assert self._process is not None, "n8n does not run"
        if self._process.poll() is not None:
            raise RuntimeError(f"n8n ended with {self._process.returncode}:\n{self.log.read_text()[-3000:]}")
        try:
            return (await client.get(f"{self.address}{path}")).text
        except httpx.TransportError:
            return ""

    async def stop(self) -> None:
        """Ends n8n as its service manager does."""
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            try:
                await asyncio.to_thread(self._process.wait, BOOT)
            finally:
                self._process.kill()
                self._process = None

    def _command(self, *arguments: str) -> None:
        done = subprocess.run(
            self._arguments(*arguments), env=self._environment, cwd=self._folder, capture_output=True, timeout=BOOT
        )
        said = (done.stdout + done.stderr).decode(errors="replace")
        if done.returncode != 0 or "Successfully imported" not in said:  # its status is 0 whatever becomes of it
            raise RuntimeError(f"n8n {' '.join(arguments)} failed:\n{said[-3000:]}")

    def _arguments(self, *arguments: str) -> list[str]:
        node, n8n = INSTALLED / "node" / "bin" / "node", INSTALLED / "n8n" / "bin" / "n8n"
        if not (node.is_file() and n8n.is_file()):
            raise RuntimeError("n8n is not installed; run `make test-n8n`")
        return [str(node), str(n8n), *arguments]


class Owner:
    """Whoever owns an n8n, at its editor."""

    def __init__(self, n8n: N8n) -> None:
        self.n8n = n8n
        self._client = httpx.AsyncClient(
            base_url=f"{n8n.address}/rest", headers={"browser-id": "tests"}, timeout=BOOT
        )

    async def sign_up(self) -> None:
        """Makes the owner's account as soon as n8n has booted, and is signed in."""
        await self.n8n.is_ready()
        me = {"email": "owner@example.com", "firstName": "O", "lastName": "W", "password": "Very-s3cret"}
        await self._call("POST", "/owner/setup", me)

    async def publish(self, workflow: str) -> None:
        """What the editor's button does, while n8n runs."""
        version = (await self._call("GET", f"/workflows/{workflow}"))["versionId"]
        await self._call("POST", f"/workflows/{workflow}/activate", {"versionId": version})

    async def close(self) -> None:
        await self._client.aclose()

    async def _call(self, method: str, path: str, body: Json | None = None) -> Any:
        answer = await self._client.request(method, path, json=body)
        assert answer.is_success, f"{method} {path}: {answer.status_code} {answer.text[:500]}"
        return answer.json()["data"]
