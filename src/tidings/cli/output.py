"""How commands print: columns for a person at a terminal, plain lines of a fixed width for a pipe."""

from __future__ import annotations

import json
import sys
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import typer
from rich.console import Console
from rich.table import Table

from tidings.engine.policy import RateLimit

PIPED_WIDTH = 120


def open_console() -> Console:
    """A console on standard output, where names may hold brackets and colons without being markup.

    What is not a terminal gets no colours and the same width everywhere.
    """
    piped: dict[str, Any] = {"width": PIPED_WIDTH, "force_terminal": False, "no_color": True}
    return Console(highlight=False, markup=False, emoji=False, **({} if sys.stdout.isatty() else piped))


def print_json(content: Any) -> None:
    """Prints `content` as JSON that other programs read."""
    typer.echo(json.dumps(content, ensure_ascii=False, indent=2))


def new_table(console: Console, *columns: str, right: tuple[str, ...] = (), wrapped: tuple[str, ...] = ()) -> Table:
    """A table without lines. The columns in `right` hold numbers; those in `wrapped` give way to the others."""
    table = Table(box=None, header_style="dim", pad_edge=False, padding=(0, 1 if is_narrow(console) else 2, 0, 0))
    for name in columns:
        table.add_column(
            name,
            justify="right" if name in right else "left",
            no_wrap=name not in wrapped,
            overflow="fold" if name in wrapped else "ellipsis",
        )
    return table


def is_narrow(console: Console) -> bool:
    """Whether there is no room for long words side by side."""
    return console.width < 110


def local_time(moment: datetime, timezone: str, *, near: datetime | None = None) -> str:
    """`moment` on the wall clock of `timezone`, without its day when `near` is on the same one."""
    zone = ZoneInfo(timezone)
    local = moment.astimezone(zone)
    same_day = near is not None and near.astimezone(zone).date() == local.date()
    return f"{local:%H:%M}" if same_day else f"{local:%a %d %b %H:%M}"


def how_long(time: timedelta) -> str:
    """`9 min`, `40 s`, `2 h 5 min`: as exact as a person wants it."""
    seconds = time.total_seconds()
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 100:
        return f"{seconds:.1f}".removesuffix(".0") + " s"
    minutes = round(seconds / 60)
    if minutes < 100:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes} min".removesuffix(" 0 min")
    return f"{hours // 24} days"


def limit_setting(limit: RateLimit | None) -> str:
    """A limit as its variable holds it: `20/60`, or `off`."""
    return "off" if limit is None else f"{limit.max}/{limit.seconds:g}"


def counted(number: int, one: str, many: str | None = None) -> str:
    """`1 person`, `5,000 people`."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"
