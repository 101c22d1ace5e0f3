"""Which format a file has, told from its content: what it is called does not count."""

from __future__ import annotations

import json
from typing import Any

from tidings.errors import InvalidInput, TooLarge
from tidings.features.events.agenda.formats import plain_list, pretalx_api, schedule_json, schedule_xml
from tidings.features.events.agenda.raw import Findings, RawAgenda
from tidings.features.events.agenda.values import EXPORT

LARGEST_FILE = 64 * 1024 * 1024
"""Bytes; agendas of 1,000 sessions have less than three million."""


def read_raw(content: str | bytes, findings: Findings, source: str) -> RawAgenda:
    """The agenda in a file of any format that is known.

    Raises InvalidInput when it is none, with what is wrong or missing, and TooLarge.
    """
    data = content.encode("utf-8", "surrogatepass") if isinstance(content, str) else content
    if len(data) > LARGEST_FILE:
        raise TooLarge(f"{source}: has {len(data):,} bytes; {LARGEST_FILE:,} are the most that an agenda may have")
    if schedule_xml.is_xml(data):
        return schedule_xml.read(data, source, "utf-8" if isinstance(content, str) else None)
    parsed = _json(content, source)
    if schedule_json.is_schedule(parsed):
        return schedule_json.read(parsed, findings)
    if pretalx_api.is_answer(parsed):
        return pretalx_api.read(parsed, findings, source)
    if plain_list.is_list(parsed):
        return plain_list.read(parsed, findings)
    raise InvalidInput(
        source,
        f'is not a schedule: it has no object "schedule" and no list of sessions with a title and a start; {EXPORT}',
    )


def _json(content: str | bytes, source: str) -> Any:
    try:
        return json.loads(content.removeprefix("\ufeff") if isinstance(content, str) else content)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise InvalidInput(source, f"is not JSON at {where}: {error.msg}; {EXPORT}") from error
    except UnicodeDecodeError as error:
        raise InvalidInput(source, f"is not UTF-8 text at byte {error.start}; {EXPORT}") from error
    except (RecursionError, ValueError) as error:
        raise InvalidInput(source, f"is no schedule: too deeply nested, or numbers too long; {EXPORT}") from error
