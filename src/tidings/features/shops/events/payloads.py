"""What shops post, read as JSON and told apart by what is in it."""

from __future__ import annotations

import hashlib
import json
import math
from typing import Any

from tidings.errors import InvalidInput


def read_payload(body: bytes) -> dict[str, Any]:
    """The JSON object (RFC 8259) in a body. Raises InvalidInput."""
    try:
        found = json.loads(body, parse_constant=_refuse, parse_float=_finite)
    except (ValueError, RecursionError) as error:
        raise InvalidInput("", "the body is not JSON as shops send it") from error
    if not isinstance(found, dict):
        raise InvalidInput("", "the body must be a JSON object, as the shop sends it")
    return found


def payload_key(*parts: Any) -> str:
    """A key for an event or message that came without one: the same for the same content."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()


def _refuse(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _finite(digits: str) -> float | None:
    number = float(digits)
    return number if math.isfinite(number) else None
