"""What the imports have in common: the file that is given, and what it changed in words."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from tidings.features.events.plan_changes import ScheduleResult

File = Annotated[Path, typer.Argument(exists=True, dir_okay=False, readable=True, show_default=False)]


def changes(changed: ScheduleResult) -> str:
    """`12 scheduled, 3 skipped because their time had passed`."""
    counts = {name: count for name, count in changed.as_dict().items() if count and name != "unchanged"}
    words = {"skipped": "skipped because their time has passed"}
    return ", ".join(f"{count:,} {words.get(name, name)}" for name, count in counts.items()) or "nothing changed"


def say(console: Console, text: str, indent: int = 2) -> None:
    """Prints a sentence: on a terminal within its width, the lines after the first further in; else on one line."""
    lines = [text]
    if console.is_terminal:
        lines = textwrap.wrap(text, max(console.width - indent - 2, 30), subsequent_indent="  ") or [""]
    for line in lines:
        console.print(" " * indent + line, soft_wrap=True)
