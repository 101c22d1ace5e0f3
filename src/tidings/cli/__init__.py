"""The `tidings` command."""

from __future__ import annotations

import sys

import typer
from rich.console import Console

from tidings.cli import dead_letters, demo, imports, plan, serve, show, variables
from tidings.cli.approvals import approvals
from tidings.cli.followups import followups
from tidings.cli.segments import segments
from tidings.cli.why import why
from tidings.errors import InvalidRows, UserError

app = typer.Typer(
    name="tidings",
    help="Every message, at its exact time.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command()(serve.up)
app.command()(serve.worker)
app.command()(serve.api)
app.command()(serve.migrate)
app.add_typer(demo.app, name="demo")
app.add_typer(imports.app)
app.command()(plan.plan)
app.command()(show.queues)
app.command()(show.upcoming)
app.command()(show.messages)
app.command()(followups)
app.command()(approvals)
app.command()(why)
app.command()(segments)
app.command()(variables.settings)
app.add_typer(dead_letters.app)

LISTED_ROWS = 20


def main() -> None:
    """Runs the command line. A mistake that a person can mend is one sentence and exit status 1."""
    try:
        app()
    except UserError as error:
        console = Console(stderr=True, highlight=False)
        console.print(f"[bold red]error:[/] {error}", markup=True, soft_wrap=True)
        if isinstance(error, InvalidRows):
            for row in error.rows[:LISTED_ROWS]:
                console.print(f"  {row}", markup=False, soft_wrap=True)
            if len(error.rows) > LISTED_ROWS:
                console.print(f"  … and {len(error.rows) - LISTED_ROWS} more")
        sys.exit(1)
