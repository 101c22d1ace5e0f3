"""Which variant of an experiment a contractor gets: always the same one, by a hash of both."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any


def pick(experiment: str, contractor_id: int, variants: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """The contractor's variant; over many contractors the variants are met in proportion to their `weight`."""
    digest = hashlib.sha256(f"{experiment}:{contractor_id}".encode()).digest()
    place = int.from_bytes(digest[:8]) * sum(variant["weight"] for variant in variants) >> 64
    for variant in variants:
        place -= variant["weight"]
        if place < 0:
            return variant
    raise ValueError("an experiment has at least one variant with a weight")
