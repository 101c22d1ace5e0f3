"""How many cases the long property tests try."""

from __future__ import annotations

thorough = False
"""Whether this run has time: `make test-all` has."""


def examples(number: int) -> int:
    """That many in a thorough run, two fifths of it in others."""
    return number if thorough else max(number * 2 // 5, 1)
