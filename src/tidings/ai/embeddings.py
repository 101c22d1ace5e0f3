"""Texts as vectors: an answer of the embeddings endpoint, read with care."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tidings.ai.base import AIError, Usage
from tidings.ai.completions import usage_of

MAX_DIMENSIONS = 8192


@dataclass(frozen=True, slots=True)
class Embeddings:
    """A vector for each text, and what they cost."""

    vectors: Sequence[Sequence[float]]
    usage: Usage


def read_embeddings(body: bytes, host: str, model: str, count: int, duration_ms: int) -> Embeddings:
    """The `count` vectors of an answer, in the order of the texts. Raises AIError (retryable) for anything else."""
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        raise AIError(f"{host} answered with something other than JSON", retryable=True) from None
    data = answer.get("data") if isinstance(answer, dict) else None
    vectors = [_vector(entry) for entry in data] if isinstance(data, list) else []
    found = dict(one for one in vectors if one is not None)
    if found.keys() != set(range(count)) or len({len(vector) for vector in found.values()}) > 1:
        raise AIError(f"{host} answered with JSON that has not one vector for each text", retryable=True)
    return Embeddings([found[place] for place in range(count)], usage_of(answer, model, duration_ms))


def _vector(entry: object) -> tuple[int, list[float]] | None:
    fields: Mapping[str, Any] = entry if isinstance(entry, dict) else {}
    place, numbers = fields.get("index"), fields.get("embedding")
    if not isinstance(place, int) or not isinstance(numbers, list) or not 0 < len(numbers) <= MAX_DIMENSIONS:
        return None
    if not all(isinstance(number, int | float) and math.isfinite(number) for number in numbers):
        return None
    return place, [float(number) for number in numbers]
