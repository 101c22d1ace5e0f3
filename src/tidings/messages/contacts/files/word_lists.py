"""Lists of words that stand beside this file, in TOML."""

from __future__ import annotations

import tomllib
from importlib.resources import files
from typing import Any


def read_list(name: str) -> dict[str, Any]:
    """What is in a file here."""
    return tomllib.loads((files(__package__) / name).read_text(encoding="utf-8"))


def read_lists(name: str) -> dict[str, list[str]]:
    """A file here that has nothing but lists."""
    return read_list(name)
