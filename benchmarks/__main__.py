"""`python -m benchmarks`: measurements of this engine on this machine."""

from __future__ import annotations

import typer

from benchmarks.api_under_burst.command import starvation
from benchmarks.campaigns.command import campaigns
from benchmarks.delivery.command import delivery
from benchmarks.disturbance.command import disturbance
from benchmarks.engine.command import engine
from benchmarks.growth.command import growth
from benchmarks.punctuality.command import punctuality
from benchmarks.report.command import report
from benchmarks.scheduling.command import scheduling
from benchmarks.steady.command import steady

app = typer.Typer(name="benchmarks", help="Measures this engine on this machine.", no_args_is_help=True)
app.command()(engine)
app.command()(campaigns)
app.command()(starvation)
app.command()(delivery)
app.command()(scheduling)
app.command()(punctuality)
app.command()(growth)
app.command()(steady)
app.command()(disturbance)
app.command()(report)

if __name__ == "__main__":
    app()
