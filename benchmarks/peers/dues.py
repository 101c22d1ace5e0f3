"""What the programs that schedule have in common: the messages they are given, and how they say what it took."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path


def wanted() -> list[tuple[int, datetime]]:
    """The messages of the file that the command line names: their ids and moments."""
    found = json.loads(Path(sys.argv[-1]).read_text())
    return [(number, datetime.fromtimestamp(due / 1000, UTC)) for number, due in found]


@contextmanager
def timed() -> Iterator[None]:
    """Says in a line of JSON how many seconds the block took, and how many of CPU."""
    began = time.perf_counter(), time.process_time()
    yield
    print(json.dumps({"seconds": time.perf_counter() - began[0], "cpu": time.process_time() - began[1]}), flush=True)
