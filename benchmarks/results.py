"""What a bench has found: tables of samples, shown to a person and kept as JSON for the report."""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console
from rich.text import Text

from benchmarks.stage import CACHE
from tidings.cli.output import new_table

FOLDER = CACHE / "results"


@dataclass(slots=True)
class Line:
    """One row of a table: by column a sample a round, None where that failed; ratios are to the table's `of`."""

    label: str
    samples: Mapping[str, Sequence[float | None]]
    ratios: dict[str, float] = field(default_factory=dict)

    def value(self, column: str) -> float | None:
        """What stands for the samples: their median."""
        samples = [sample for sample in self.samples.get(column, ()) if sample is not None]
        return median(samples) if samples else None


@dataclass(slots=True)
class Table:
    """`columns` are names and units; `of` says what a ratio is a multiple of."""

    title: str
    columns: Mapping[str, str]
    lines: list[Line]
    of: str = ""

    def compare(self, base: str) -> None:
        """Sets each line's ratios to the line `base`: of every round its own, of those the median."""
        found = next((line for line in self.lines if line.label == base), None)
        if found is None:
            return
        self.of = base
        for line in self.lines:
            if line is not found:
                line.ratios = {
                    name: ratio for name in self.columns if (ratio := paired(line, found, name)) is not None
                }


def paired(line: Line, base: Line, column: str) -> float | None:
    """The median of the rounds' own ratios, which a machine that is slow in one round distorts less."""
    rounds = zip(line.samples.get(column, ()), base.samples.get(column, ()), strict=False)
    ratios = [ours / theirs for ours, theirs in rounds if ours and theirs]
    return median(ratios) if ratios else None


@dataclass(slots=True)
class Result:
    """One bench: what it was told, where it ran, and what it found. `name` is also its file's."""

    name: str
    plan: Mapping[str, Any]
    versions: Mapping[str, str]
    tables: list[Table]
    notes: list[str] = field(default_factory=list)
    machine: Mapping[str, str] = field(default_factory=lambda: machine())

    def as_json(self) -> str:
        return json.dumps(asdict(self), indent=1) + "\n"

    def write(self) -> Path:
        FOLDER.mkdir(parents=True, exist_ok=True)
        path = FOLDER / f"{self.name}.json"
        path.write_text(self.as_json())
        return path

    @classmethod
    def read(cls, path: Path) -> Result:
        found = json.loads(path.read_text())
        tables = [Table(**{**table, "lines": [Line(**line) for line in table["lines"]]}) for table in found["tables"]]
        return cls(**{**found, "tables": tables})


def machine() -> dict[str, str]:
    """What the figures depend on beside the programs."""
    facts = {
        "processor": f"{os.cpu_count()} × {_processor()}",
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python": f"Python {platform.python_version()}",
    }
    if node := shutil.which("node"):
        facts["node"] = "Node " + subprocess.run([node, "--version"], capture_output=True, text=True).stdout.strip()
    return facts


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")


def show(console: Console, result: Result) -> None:
    """The tables, for a person."""
    for table in result.tables:
        console.print()
        console.print(Text(table.title, style="bold"), soft_wrap=True)
        shown = new_table(console, "", *table.columns, right=tuple(table.columns))
        shown.add_row("", *table.columns.values(), style="dim")
        for line in table.lines:
            shown.add_row(line.label, *(number(line.value(name)) for name in table.columns))
            if line.ratios:
                ratios = (f"{line.ratios[name]:.2f} ×" if name in line.ratios else "" for name in table.columns)
                shown.add_row("", *ratios, style="dim")
        console.print(shown)
        if table.of:
            console.print(f"× is times {table.of}, the median of the rounds' own ratios.", style="dim")
    for name, version in result.versions.items():
        console.print(f"{name:20}{version}", style="dim", soft_wrap=True)
    for note in result.notes:
        console.print(note, style="yellow", soft_wrap=True)


def finish(console: Console, result: Result) -> None:
    """Shows what was found, and keeps it for the report."""
    show(console, result)
    console.print(f"written to {result.write()}", style="dim", soft_wrap=True)


def number(value: float | None) -> str:
    """For a table: as many places as say something."""
    if value is None:
        return "–"
    return f"{value:,.0f}" if abs(value) >= 100 or value == int(value) else f"{value:.{2 if abs(value) < 10 else 1}f}"
