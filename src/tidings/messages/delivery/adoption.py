"""What processes that have ended handed over and could not write down is written down by the next one."""

from __future__ import annotations

from collections.abc import Sequence

from tidings.log import get_logger
from tidings.messages.delivery.journal import Journal
from tidings.messages.delivery.pipeline import DeliveryPipeline

log = get_logger(__name__)


async def adopt_leftovers(journal: Journal, pipelines: Sequence[DeliveryPipeline]) -> None:
    """Before anybody claims one of these messages: a claim would send it again.

    What the database still does not take goes on waiting, in this process's memory and journal. The file of an
    outcome whose kind of message this installation has no more stays.
    """
    for leftover in journal.leftovers():
        entries = leftover.entries()
        known = {pipeline.kind.name for pipeline in pipelines}
        for pipeline in pipelines:
            await pipeline.adopt([entry for entry in entries if entry["kind"] == pipeline.kind.name])
            pipeline.keep()
        if strangers := {str(entry["kind"]) for entry in entries} - known:
            log.error("the journal has outcomes of unknown kinds", file=leftover.name, kinds=sorted(strangers))
            continue
        leftover.remove()
        log.warning("outcomes of an earlier process recorded", outcomes=len(entries), file=leftover.name)
