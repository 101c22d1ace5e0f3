"""Logs: one JSON object a line, and no phone number in them that could be dialled."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator

import pytest
import structlog

from tidings import log


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    before = structlog.get_config()
    stream = io.StringIO()
    log.configure(level="INFO", json=True, stream=stream)
    yield stream
    structlog.configure(**before)


@pytest.mark.parametrize(
    "fields",
    [
        {"phone": "+18105550123"},
        {"phone": "18105550123"},
        {"error": "the number +18105550123 is not reachable"},
        {"payload": {"to": "+18105550123", "more": ["+18105550123"]}},
    ],
)
def test_a_phone_number_is_masked_wherever_it_stands(lines: io.StringIO, fields: dict[str, object]) -> None:
    log.get_logger("test").info("message sent", **fields)
    assert "8105550123" not in lines.getvalue()
    assert "0123" in lines.getvalue()


def test_a_line_is_json_with_its_level_time_and_logger(lines: io.StringIO) -> None:
    with structlog.contextvars.bound_contextvars(queue="event-messages", request_id="req_1_a"):
        log.get_logger("tidings.test").info("job completed", duration_ms=3)
    line = json.loads(lines.getvalue())
    assert line["event"] == "job completed"
    assert (line["queue"], line["request_id"], line["level"]) == ("event-messages", "req_1_a", "info")
    assert line["logger_name"] == "tidings.test"
    assert line["timestamp"].endswith("Z")


def test_a_request_id_is_kept_where_there_is_one_and_made_where_there_is_none() -> None:
    with structlog.contextvars.bound_contextvars(request_id="req_1_a"):
        assert log.current_request_id() == "req_1_a"
    assert log.current_request_id() != log.current_request_id()
