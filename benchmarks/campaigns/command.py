"""`python -m benchmarks campaigns`: what another shop's campaign costs one shop's order confirmations."""

from __future__ import annotations

import asyncio
import json
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from benchmarks.campaigns.orders import GOAL, SlowProvider, Spells, measure_orders
from benchmarks.engine.report import percentile
from tidings import log
from tidings.app import App
from tidings.cli.demo.rehearsal import OFFLINE
from tidings.cli.output import new_table, open_console
from tidings.cli.running import run, settle
from tidings.registry import load


def campaigns(
    quick: Annotated[bool, typer.Option("--quick", help="A small campaign, in half a minute.")] = False,
    recipients: Annotated[int, typer.Option(min=100, help="Recipients of the campaign.")] = 20_000,
    rounds: Annotated[int, typer.Option(min=1, help="Spells without and with the campaign.")] = 8,
    seconds: Annotated[float, typer.Option(min=1, help="How long a spell takes.")] = 8.0,
    database_url: Annotated[
        str | None, typer.Option(help="An empty database, instead of a SQLite of its own.")
    ] = None,
    as_json: Annotated[Path | None, typer.Option("--json", help="Also write every sample to this file.")] = None,
) -> None:
    """Times one shop's order confirmations without and with another shop's campaign. Takes about two minutes."""
    if quick:
        recipients, rounds, seconds = 3_000, 3, 4.0
    console = open_console()
    with tempfile.TemporaryDirectory(prefix="tidings-bench-") as folder:
        spells = run(_measure(Path(folder), console, database_url, recipients, rounds, seconds))
    print_spells(console, spells)
    if as_json:
        as_json.write_text(json.dumps(asdict(spells), indent=2) + "\n")


async def _measure(
    folder: Path, console: Console, database_url: str | None, recipients: int, rounds: int, seconds: float
) -> Spells:
    log.configure(level="CRITICAL")
    overrides: dict[str, Any] = {**OFFLINE, "quiet_hours": "off", "frequency_caps": "off", "data_dir": folder}
    provider = SlowProvider()
    settings = load(**{**overrides, "database_url": database_url})
    async with App(settings, providers={"sms": provider}, migrate=True, queue_settings={}) as app:
        await app.start_workers()
        await asyncio.sleep(1)  # until the sweep has put up the schedules
        settle()
        return await measure_orders(
            app.work,
            app.shops,
            provider,
            recipients=recipients,
            rounds=rounds,
            seconds=seconds,
            say=lambda line: console.print(line, style="dim"),
        )


def print_spells(console: Console, spells: Spells) -> None:
    """A table for a person, and whether the goal is met."""
    columns = ("without", "with a campaign")
    table = new_table(console, "order confirmations", *columns, "", right=columns)
    for rank in (50, 95, 99):
        quiet, busy = percentile(spells.quiet, rank), percentile(spells.busy, rank)
        table.add_row(f"p{rank}", f"{quiet:.1f}", f"{busy:.1f}", "ms")
    table.add_row("samples", str(len(spells.quiet)), str(len(spells.busy)), "")
    console.print(table)
    console.print(
        f"Meanwhile {spells.sent:,} of the campaign's {spells.audience:,} recipients got it, "
        f"{spells.per_second:.0f} a second."
    )
    met = spells.ratio <= GOAL
    verdict = (
        f"{'met' if met else 'MISSED'}: p99 is {spells.ratio:.2f} times that without a campaign; the goal is {GOAL:g}"
    )
    console.print(verdict, style="green" if met else "bold red")
