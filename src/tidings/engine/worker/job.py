"""Makes a bullmq.Job of what a script answers: what `Job.fromJSON` makes, at a third of its cost.

That one runs a constructor meant for jobs to be added, and decodes fields that are not there.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import bullmq
from bullmq.backoffs import Backoffs
from bullmq.job import getReturnValue, optsDecodeMap

_decode = json.JSONDecoder().decode
_INTEGERS = {
    "processedOn": "processedOn",
    "finishedOn": "finishedOn",
    "ats": "attemptsStarted",
    "stc": "stalledCounter",
}
_STRINGS = {
    "rjk": "repeatJobKey",
    "defa": "deferredFailure",
    "failedReason": "failedReason",
    "parentKey": "parentKey",
}
_JSON = {"progress": "progress", "stacktrace": "stacktrace", "parent": "parent"}
_USUAL = {"name", "data", "opts", "timestamp", "delay", "priority", "processedOn", "ats", "atm", "attemptsMade", "pb"}
_SPECIAL = {"parent", "deduplication", *optsDecodeMap}
"""Options that the constructor reads more into than their value."""


@lru_cache(maxsize=256)  # those of a queue's jobs are mostly the same
def _options(written: str) -> tuple[Mapping[str, Any], Mapping[str, Any] | None]:
    """Options as they are written, and as a job has them; None where only the constructor knows."""
    options = _decode(written)
    if not _SPECIAL.isdisjoint(options):
        return options, None
    return options, {"attempts": 0, "delay": 0, **options, "backoff": Backoffs.normalize(options.get("backoff"))}


class JobMaker:
    """Makes the jobs of one queue or worker."""

    def __init__(self, queue: Any) -> None:
        self._queue = queue
        self._blank = vars(bullmq.Job(queue, "", None, {}))

    def make(self, fields: Mapping[str, str], job_id: str) -> Any:
        """The job of these fields. One that cannot be read comes with the failure that it has to end with."""
        try:
            return self._read(fields, job_id)
        except (ValueError, TypeError, AttributeError) as error:  # written by hand, or by something broken
            job = bullmq.Job(self._queue, fields.get("name", ""), None, {}, job_id)
            job.deferredFailure = f"the job cannot be read: {error}"
            return job

    def _read(self, fields: Mapping[str, str], job_id: str) -> Any:
        options, usual = _options(fields.get("opts", "{}"))
        if usual is None:
            return bullmq.Job.fromJSON(self._queue, fields, job_id)
        job = bullmq.Job.__new__(bullmq.Job)
        own = vars(job)
        own.update(self._blank)
        own["id"] = job_id
        own["name"] = fields.get("name")
        own["data"] = _decode(fields.get("data", "{}"))
        own["opts"] = dict(usual)
        own["attempts"] = options.get("attempts", 1)
        own["removeOnComplete"] = options.get("removeOnComplete", True)
        own["removeOnFail"] = options.get("removeOnFail", False)
        own["timestamp"] = int(fields.get("timestamp", 0))
        own["delay"] = int(fields.get("delay", 0))
        own["priority"] = int(fields.get("priority", 0))
        own["processedOn"] = int(fields.get("processedOn") or 0)
        own["attemptsStarted"] = int(fields.get("ats") or 0)
        own["attemptsMade"] = int(fields.get("attemptsMade") or fields.get("atm") or 0)
        own["stacktrace"] = []
        if not _USUAL.issuperset(fields):
            self._read_unusual(own, fields)
        return job

    def _read_unusual(self, own: dict[str, Any], fields: Mapping[str, str]) -> None:
        for field, attribute in _INTEGERS.items():
            if fields.get(field):
                own[attribute] = int(fields[field])
        for field, attribute in _STRINGS.items():
            if fields.get(field):
                own[attribute] = fields[field]
        for field, attribute in _JSON.items():
            if fields.get(field):
                own[attribute] = _decode(fields[field])
        if "returnvalue" in fields:
            own["returnvalue"] = getReturnValue(fields["returnvalue"])
