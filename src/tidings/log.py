"""Structured logs: one event a line, readable in a terminal, JSON elsewhere; phone numbers are masked."""

from __future__ import annotations

import logging
import re
import secrets
import sys
import time
from collections.abc import MutableMapping
from contextvars import ContextVar
from typing import Any, TextIO

import structlog

_PHONE = re.compile(r"\+\d{6,15}\b")
_PLAIN_PHONE = re.compile(r"\d{6,15}")
_PHONE_FIELDS = frozenset({"phone", "to", "recipient"})

_job: ContextVar[tuple[str, str, int, str] | None] = ContextVar("job", default=None)


def mask_phone(number: str) -> str:
    """`+18105550123` → `+18*****0123`: enough to recognise a number, not enough to use it."""
    return number[:3] + "*" * max(len(number) - 7, 3) + number[-4:]


def _masked(value: Any, *, is_phone: bool = False) -> Any:
    if isinstance(value, str):
        if is_phone and _PLAIN_PHONE.fullmatch(value):
            return mask_phone(value)
        return _PHONE.sub(lambda found: mask_phone(found.group()), value)
    if isinstance(value, dict):
        return {key: _masked(item, is_phone=key in _PHONE_FIELDS) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_masked(item, is_phone=is_phone) for item in value]
    return value


def mask_phones(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """structlog processor: masks every phone number in an event, however deep it sits."""
    for key, value in event.items():
        event[key] = _masked(value, is_phone=key in _PHONE_FIELDS)
    return event


def configure(*, level: str = "INFO", json: bool | None = None, stream: TextIO | None = None) -> None:
    """Sets up logging for the process.

    `level` is a standard level name. `json` forces the format; by default a terminal gets columns and
    anything else gets JSON lines. Logs go to `stream`, by default standard error.
    """
    out = stream or sys.stderr
    as_json = not out.isatty() if json is None else json
    renderers: list[Any] = (
        [structlog.processors.format_exc_info, mask_phones, structlog.processors.JSONRenderer()]
        if as_json
        else [
            mask_phones,
            # Plain tracebacks: the rich ones print local variables, and with them keys and phone numbers.
            structlog.dev.ConsoleRenderer(colors=out.isatty(), exception_formatter=structlog.dev.plain_traceback),
        ]
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            _name_job,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *renderers,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.WriteLoggerFactory(out),  # a line is one write: other processes write here, too
        cache_logger_on_first_use=False,
    )


def get_logger(name: str) -> structlog.typing.FilteringBoundLogger:
    """A logger whose events carry `name` as their `logger_name` field."""
    logger: structlog.typing.FilteringBoundLogger = structlog.get_logger(logger_name=name)
    return logger


def new_request_id() -> str:
    """`req_<milliseconds>_<random>`, the form the shop specification uses."""
    return f"req_{time.time_ns() // 1_000_000}_{secrets.token_hex(3)}"


def work_on(queue: str, job_id: str, attempt: int, request_id: str) -> None:
    """From here on, this task's events say which job they are about.

    Only noted here, and put into words when there is an event: most jobs have none.
    """
    _job.set((queue, job_id, attempt, request_id))


def _name_job(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    job = _job.get()
    if event.pop("of_many", False):  # it is said while one of their jobs is worked on, and is not about that one
        return event
    if job is not None:
        for name, value in zip(("queue", "job_id", "attempt", "request_id"), job, strict=True):
            event.setdefault(name, value)
    return event


def current_request_id() -> str:
    """The request id that this task works under; a new one when it has none."""
    bound = structlog.contextvars.get_contextvars().get("request_id")
    if isinstance(bound, str):
        return bound
    job = _job.get()
    return new_request_id() if job is None else job[3]
