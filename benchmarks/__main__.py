"""`python -m benchmarks`: measurements of this engine on this machine."""

from __future__ import annotations

import typer

from benchmarks.campaigns.command import campaigns
from benchmarks.delivery.command import delivery
from benchmarks.engine.command import engine

app = typer.Typer(name="benchmarks", help="Measures this engine on this machine.", no_args_is_help=True)
app.command()(engine)
app.command()(campaigns)
app.command()(delivery)

if __name__ == "__main__":
    app()
