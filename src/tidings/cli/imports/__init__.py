"""`tidings import`: agendas and people from the files that others export."""

from __future__ import annotations

import typer

from tidings.cli.imports.agenda import agenda
from tidings.cli.imports.people import people

app = typer.Typer(name="import", help="Reads agendas and people from files.", no_args_is_help=True)
app.command()(agenda)
app.command()(people)
