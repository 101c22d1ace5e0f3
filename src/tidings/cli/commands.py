"""A command line that knows its commands by name, and loads the one that is run or asked about."""

from __future__ import annotations

import gc
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from types import ModuleType
from typing import Any, ClassVar

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command, get_group


@dataclass(frozen=True, slots=True)
class Entry:
    """Where a command is, as `module:name` of a function or of a `typer.Typer`, and its line in the list."""

    place: str
    line: str

    def load(self) -> Any:
        """The command itself, made of the function or of the group of commands."""
        module, _, name = self.place.partition(":")
        found = getattr(_loaded(module), name)
        if isinstance(found, typer.Typer):
            return get_group(found)
        alone = typer.Typer(add_completion=False)
        alone.command()(found)
        return get_command(alone)


def _loaded(module: str) -> ModuleType:
    """A command's module. What it loads stays to the end; looking through it for garbage took a fifth of a start."""
    if module in sys.modules:
        return sys.modules[module]
    gc.disable()
    try:
        return import_module(module)
    finally:
        gc.freeze()
        gc.enable()


class Commands(TyperGroup):
    """The commands in `entries`, listed in that order."""

    entries: ClassVar[Mapping[str, Entry]]

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        for name, entry in self.entries.items():
            self.add_command(TyperCommand(name, help=entry.line))

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command that is run, loaded."""
        name, _, rest = super().resolve_command(ctx, args)
        return name, self.entries[name].load() if name else None, rest
