"""`python -m benchmarks report`: makes BENCHMARKS.md from the results."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from benchmarks.contestants.all import NODE
from benchmarks.engine.contestants import LABELS
from benchmarks.report.chart import bars
from benchmarks.report.page import page
from benchmarks.results import FOLDER, Line, Result, Table, machine
from tidings.errors import ConfigurationError

ORDER = ("delivery", "punctuality", "scheduling", "growth", "engine")
CHART = "docs/benchmarks.svg"
PARTS = ("worker", "PostgreSQL", "Redis")


def report(
    results: Annotated[Path, typer.Option(help="Folder of the results.")] = FOLDER,
    into: Annotated[Path, typer.Option(help="Folder of BENCHMARKS.md and docs/.")] = Path(),
) -> None:
    """Makes BENCHMARKS.md and its chart from what the other commands found last."""
    found = [_read(path) for name in ORDER if (path := results / f"{name}.json").exists()]
    if not found:
        raise ConfigurationError(f"There are no results in {results}. Run `make bench` first.")
    delivery = next((result for result in found if result.name == "delivery"), None)
    if delivery:
        (into / CHART).parent.mkdir(parents=True, exist_ok=True)
        (into / CHART).write_text(bars(delivery.tables[0], PARTS, "CPU of a delivered message, in microseconds"))
    (into / "BENCHMARKS.md").write_text(page(found, CHART if delivery else None, NODE))


def _read(path: Path) -> Result:
    found = json.loads(path.read_text())
    return _of_engine(found) if "sections" in found else Result.read(path)


def _of_engine(found: dict[str, Any]) -> Result:
    """What `python -m benchmarks engine --json` writes, in the form of the others."""
    tables = []
    for section in found["sections"]:
        names = list(section["rows"][0]["values"])
        lines = [
            Line(f"{row['what']} ({row['unit']})", {LABELS[name]: [row["values"][name]] for name in names})
            for row in section["rows"]
        ]
        tables.append(Table(section["title"], {LABELS[name]: "worker" for name in names}, lines))
    return Result("engine", {"rounds": found["plan"]["rounds"]}, found["machine"], tables, found["notes"], machine())
