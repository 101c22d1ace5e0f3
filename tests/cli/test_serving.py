"""The long-running processes as an operator meets them: started, asked over HTTP, stopped by a signal."""

from __future__ import annotations

import itertools
import signal
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from support.programs import Program, running
from support.servers import free_port
from tidings.db.migrate import newest

_numbers = itertools.count(1)


def tidings(*arguments: str, folder: Path, **variables: str) -> Program:
    return Program(
        *arguments,
        variables={"TIDINGS_DATA_DIR": str(folder / "data"), **variables},
        folder=folder,
        output=folder / f"output-{next(_numbers)}.txt",
    )


def finished(program: Program) -> tuple[int, str]:
    assert program.output
    return program.wait(), program.output.read_text()


def answer(client: httpx.Client, program: Program, path: str) -> dict[str, Any]:
    """The first good answer of a server that is just starting."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and program.is_running:
        try:
            response = client.get(path)
        except httpx.TransportError:
            time.sleep(0.02)
            continue
        if response.status_code == 200:
            found: dict[str, Any] = response.json()
            return found
        time.sleep(0.02)
    raise AssertionError(f"{path} did not become healthy")


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_up_serves_sends_and_stops_at_a_signal_leaving_nothing_behind(tmp_path: Path, stop: signal.Signals) -> None:
    port = free_port()
    with (
        running(tidings("up", "--port", str(port), folder=tmp_path)) as program,
        httpx.Client(base_url=f"http://127.0.0.1:{port}") as client,
    ):
        assert answer(client, program, "/queue/health")["redis"] is True
        event = client.post("/events", json={"name": "Expo", "date": "2099-05-04"}).raise_for_status().json()
        person = client.post("/contractors", json={"name": "Ada", "phone": "+18105550123"}).json()
        client.post(f"/events/{event['id']}/registrations", json={"contractor_id": person["id"]}).raise_for_status()
        while not client.get("/event-messages", params={"status": "simulated"}).json():
            time.sleep(0.02)
        program.send_signal(stop)
        assert program.wait() == 0
    assert "confirm" in (tmp_path / "data" / "simulator.jsonl").read_text().lower()
    assert not (tmp_path / "data" / "valkey" / "server.json").exists()


def test_api_and_worker_run_apart_on_one_folder(tmp_path: Path) -> None:
    port = free_port()
    with (
        running(tidings("api", "--port", str(port), folder=tmp_path)) as api,
        httpx.Client(base_url=f"http://127.0.0.1:{port}") as client,
    ):
        answer(client, api, "/health")
        idle = client.get("/queue/health")
        assert idle.status_code == 503
        queues = [worker["name"] for worker in idle.json()["workers"]["workers"]]
        with running(tidings("worker", *queues, folder=tmp_path)) as worker:
            answer(client, worker, "/queue/health")
            worker.terminate()
            assert worker.wait() == 0


@pytest.mark.parametrize(
    ("arguments", "variables", "sentence"),
    [
        (["worker", "no-such-queue"], {}, "there is no queue no-such-queue"),
        (["worker", "no-such-queue", "--processes", "3"], {}, "there is no queue no-such-queue"),
        (["worker"], {"TIDINGS_PROCESSES": "0"}, "TIDINGS_PROCESSES"),
        (["worker"], {"TIDINGS_PROCESSES": "3", "REDIS_URL": "redis://127.0.0.1:1/0"}, "does not answer"),
        (["up", "--host", "0.0.0.0"], {}, "TIDINGS_API_KEY"),
        (["up"], {"REDIS_URL": "redis://127.0.0.1:1/0"}, "does not answer"),
        (["up"], {"EVENT_MESSAGES_RATE_LIMIT": "fast"}, "EVENT_MESSAGES_RATE_LIMIT"),
        (["up"], {"DATABASE_URL": "oracle://host/name"}, "oracle"),
        (["worker"], {"DATABASE_URL": "postgresql://127.0.0.1:1/name"}, "cannot be reached"),
    ],
)
def test_what_cannot_start_says_in_one_sentence_what_to_change(
    tmp_path: Path, arguments: list[str], variables: dict[str, str], sentence: str
) -> None:
    status, output = finished(tidings(*arguments, folder=tmp_path, **variables))
    assert status == 1
    assert output.startswith("error: ")
    assert output.count("error: ") == 1
    assert sentence in output
    assert "Traceback" not in output


def test_migrate_brings_a_database_up_to_date_and_is_harmless_again(tmp_path: Path) -> None:
    assert finished(tidings("migrate", folder=tmp_path)) == (0, f"database at revision {newest()} (was empty)\n")
    assert finished(tidings("migrate", folder=tmp_path)) == (0, f"database at revision {newest()}\n")


@pytest.mark.long
def test_the_demo_accounts_for_every_message_without_a_terminal(tmp_path: Path) -> None:
    status, output = finished(tidings("demo", "--seconds", "8", "--people", "8", folder=tmp_path))
    assert status == 0, output
    assert "Every message is accounted for." in output
    assert "p99" in output
