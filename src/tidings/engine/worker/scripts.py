"""BullMQ's own Lua scripts: checked against those this engine was built on, and called with the right arguments.

Keys and arguments of a script are its calling convention, which its head documents and its version does not: so a
script that differs from the one known here is refused before it touches a job. Two of our own, beside this file, do
for many jobs at once what two of BullMQ's do for one.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from importlib.resources import files
from itertools import count
from pathlib import Path
from typing import Any

import bullmq
import msgpack

from tidings.errors import ConfigurationError

COMMANDS = Path(bullmq.__file__).parent / "commands"
BULLMQ = "3.4.4"
"""The version of bullmq whose scripts are known here."""

_KNOWN = {
    "moveToActive-11": "d96ca626f1ea141b44a856b312fc636d99aa9ea9",
    "moveToFinished-14": "69666e69dd5621df59067a03de685e55a486560d",
    "moveToDelayed-11": "9f83944d6edafd63c74121d73299dd3358ddfe0c",
    "retryJob-11": "812d06de3eaf0fb70e333b3d0142eed8bf630a2d",
    "moveJobFromActiveToWait-9": "2f746a769bc3d182a0f73ace6bb7a4906faf5df9",
    "moveStalledJobsToWait-9": "1e9bb7deb6219644a634d32c430ce15ed39a377e",
    "extendLocks-1": "c35baf769e5dc3d9194b2bceca04ab59f7c510f7",
}


@dataclass(frozen=True, slots=True)
class Script:
    """A Lua script: its source and the SHA-1 by which Redis knows it."""

    name: str
    source: str
    sha: str


@cache
def load_scripts() -> Mapping[str, Script]:
    """The scripts that a worker needs, by name without the number of keys.

    Raises ConfigurationError when one is not the script of the bullmq version that this engine was built on.
    """
    scripts = {}
    for file, known in _KNOWN.items():
        name = file.split("-")[0]
        path = COMMANDS / f"{file}.lua"
        source = path.read_text(encoding="utf-8") if path.exists() else ""
        sha = hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest()
        if sha != known:
            raise ConfigurationError(
                f"The script {path.name} of the installed bullmq {version('bullmq')} is not that of bullmq {BULLMQ}, "
                f"which tidings.engine was built on. Install bullmq=={BULLMQ}, or use bullmq's own Worker."
            )
        scripts[name] = Script(name, source, sha)
    for name in ("take_jobs", "complete_jobs"):
        source = files(__package__).joinpath(f"{name}.lua").read_text(encoding="utf-8")
        scripts[name] = Script(name, source, hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest())
    return scripts


Call = tuple[Script, tuple[Any, ...]]
"""A script and what it is called with: the number of keys, the keys, the arguments."""


class QueueScripts:
    """The calls of one worker on its queue. `now` is epoch milliseconds, cut off rather than rounded: BullMQ rounds,
    which lets jobs go up to half a millisecond early."""

    def __init__(
        self, keys: Mapping[str, str], options: Mapping[str, Any], *, worker_id: str, worker_name: str | None
    ) -> None:
        self._scripts = load_scripts()
        self._prefix = keys[""]
        self._options: dict[str, Any] = {"lockDuration": options["lockDuration"]}
        if options.get("limiter"):
            self._options["limiter"] = options["limiter"]
        if worker_name:
            self._options["name"] = worker_name  # a job shows it as processedBy
        self._metrics_size = (options.get("metrics") or {}).get("maxDataPoints", "")
        self._worker_id = worker_id
        self._tokens = count(1)

        def pick(*names: str) -> tuple[str, ...]:
            return tuple(keys[name] for name in names)

        fetch = (
            *pick("wait", "active", "prioritized", "events", "stalled"),
            *pick("limiter", "delayed", "paused", "meta", "pc"),
        )
        self._prioritized, self._marker = keys["prioritized"], keys["marker"]
        self._fetch_keys = (11, *fetch, self._marker)
        self._take_keys = (
            9, *pick("wait", "active", "prioritized", "events", "limiter", "delayed", "meta", "pc", "marker"),
            self._prefix,
        )  # fmt: skip
        limiter = options.get("limiter") or {}
        self._take_options = (
            options["lockDuration"], worker_name or "", limiter.get("max", ""), limiter.get("duration", "")
        )  # fmt: skip
        self._complete_keys = (
            5, *pick("active", "stalled", "completed", "events"), f"{self._prefix}metrics:completed", self._prefix
        )  # fmt: skip
        self._finish_keys = (14, *fetch)
        self._targets = {
            target: (keys[target], f"{self._prefix}metrics:{target}") for target in ("completed", "failed")
        }
        self._delay_keys = (11, *pick("marker", "active", "prioritized", "delayed"))
        self._delay_keys_after = (*pick("events", "meta", "stalled", "wait", "limiter", "pc"), self._prefix)
        self._retry_keys = (11, *pick("active", "wait", "paused"))
        self._retry_keys_after = (
            *pick("meta", "events", "delayed", "prioritized", "pc", "marker", "stalled"), self._prefix
        )  # fmt: skip
        self._give_back_keys = (
            9, *pick("active", "wait", "stalled", "paused", "meta", "limiter", "prioritized", "marker", "events")
        )  # fmt: skip

    def new_token(self) -> str:
        """A lock token that was never used before."""
        return f"{self._worker_id}:{next(self._tokens)}"

    def fetch(self, token: str, now: int) -> Call:
        """Takes the next job, if there is one, under the lock `token`."""
        packed = msgpack.packb({"token": token, **self._options})
        return self._scripts["moveToActive"], (*self._fetch_keys, self._prefix, now, packed)

    def take(self, token: str, now: int, most: int) -> Call:
        """Takes up to so many jobs, under locks that are made of `token` and the job's number in the reply."""
        return self._scripts["take_jobs"], (*self._take_keys, now, most, token, *self._take_options)

    def complete_many(self, jobs: Sequence[tuple[Any, str, str]], now: int) -> Call:
        """Done, for jobs with their tokens and results as JSON whose `removeOnComplete` is the same. `complete` has
        to follow for one more."""
        stay = "" if is_removed(jobs[0][0]) else "1"
        packed = msgpack.packb([part for job, token, value in jobs for part in (job.id, token, value)])
        metrics = "1" if self._metrics_size else ""
        return self._scripts["complete_jobs"], (*self._complete_keys, now, stay, metrics, packed)

    def complete(self, job: Any, token: str, now: int, value: str, *, fetch_next: bool) -> Call:
        """Done, with the result as JSON. `fetch_next` answers with the next job, under the same lock token."""
        return self._finish(job, token, now, "completed", ("returnvalue", value), None, fetch_next)

    def fail(
        self, job: Any, token: str, now: int, reason: str, fields: Mapping[str, str], *, fetch_next: bool
    ) -> Call:
        """Failed for good. `fields` of the job are set with it."""
        return self._finish(job, token, now, "failed", ("failedReason", reason), fields, fetch_next)

    def _finish(
        self, job: Any, token: str, now: int, target: str, outcome: tuple[str, str],
        fields: Mapping[str, str] | None, fetch_next: bool,
    ) -> Call:  # fmt: skip
        packed = msgpack.packb(
            {
                "token": token,
                **self._options,
                "keepJobs": _keep_jobs(job.opts.get("removeOnComplete" if target == "completed" else "removeOnFail")),
                "attempts": job.attempts,
                "maxMetricsSize": self._metrics_size,
            }
        )
        finished, metrics = self._targets[target]
        arguments = (
            *self._finish_keys, finished, self._prefix + job.id, metrics, self._marker,
            job.id, now, *outcome, target, "1" if fetch_next else "", self._prefix, packed,
        )  # fmt: skip
        return self._scripts["moveToFinished"], (*arguments, _pack(fields)) if fields else arguments

    def delay(
        self, job: Any, token: str, now: int, milliseconds: int, fields: Mapping[str, str], *, fetch_next: bool
    ) -> Call:
        """A failed attempt, to be repeated after so long. `fetch_next` answers with the next job, or with 0."""
        return self._scripts["moveToDelayed"], (
            *self._delay_keys, self._prefix + job.id, *self._delay_keys_after,
            now, job.id, token, milliseconds, "0", _pack(fields),
            "1" if fetch_next else "0", msgpack.packb({"token": token, **self._options}),
        )  # fmt: skip

    def retry(self, job: Any, token: str, now: int, fields: Mapping[str, str]) -> Call:
        """A failed attempt, to be repeated at once."""
        return self._scripts["retryJob"], (
            *self._retry_keys, self._prefix + job.id, *self._retry_keys_after,
            now, "RPUSH" if job.opts.get("lifo") else "LPUSH", job.id, token, _pack(fields),
        )  # fmt: skip

    def give_back(self, job_id: str, token: str) -> Call:
        """To the front of the queue; answers for how many milliseconds the queue is rate limited."""
        return self._scripts["moveJobFromActiveToWait"], (
            *self._give_back_keys, job_id, token, self._prefix + job_id
        )  # fmt: skip

    def keep_order(self, jobs: Sequence[Any]) -> list[tuple[Any, ...]]:
        """Commands that put prioritised jobs, just given back, into this order, and wake a worker for them.

        BullMQ gives all of one priority the same place, ahead of the rest, and sets no marker. The counter that makes
        up the lower part of a score is whole and starts at 1, so that there is room below it.
        """
        prioritised = [job for job in jobs if job.priority]
        commands: list[tuple[Any, ...]] = [
            ("ZADD", self._prioritized, "XX", job.priority * _PRIORITY_STEP + place / len(prioritised), job.id)
            for place, job in enumerate(prioritised)
        ]
        return [*commands, ("ZADD", self._marker, 0, "0")] if commands else []


_PRIORITY_STEP = 0x100000000  # the score of a prioritised job is its priority times this, plus a counter


to_json = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode
"""JSON as BullMQ stores it. Raises TypeError or ValueError for what is not JSON, NaN included."""


def read_job(reply: Any) -> tuple[dict[str, str] | None, str, int, float]:
    """What a fetch answers: the job's fields (or None) and its id, milliseconds of the rate limit left, and the epoch
    milliseconds at which the next delayed job is due; 0 for neither."""
    if not isinstance(reply, list):
        return None, "", 0, 0
    fields, job_id, limited, due = (*reply, 0, 0)[:4]
    if isinstance(fields, list) and fields:
        return dict(zip(fields[::2], fields[1::2], strict=True)), job_id, 0, 0
    return None, "", max(int(limited or 0), 0), float(due or 0)


def read_jobs(reply: Any) -> tuple[list[tuple[dict[str, str], str]], int, float]:
    """What `take` answers: fields and id of each job, and the rest as in `read_job`."""
    found, limited, due = reply
    jobs = [
        (dict(zip(fields[::2], fields[1::2], strict=True)), job_id)
        for job_id, fields in zip(found[::2], found[1::2], strict=True)
    ]
    return jobs, int(limited or 0), float(due or 0)


def is_removed(job: Any) -> bool:
    """Whether a job is removed as soon as it is completed."""
    return bool(_keep_jobs(job.opts.get("removeOnComplete")).get("count") == 0)


def removed_at_once(job: Any) -> int:
    """How many old jobs a completed one removes at most: so many may be completed together, or they would pile up."""
    return int(_keep_jobs(job.opts.get("removeOnComplete")).get("limit") or 1000)


def _keep_jobs(keep: object) -> dict[str, Any]:
    if isinstance(keep, dict):
        return keep
    if isinstance(keep, bool) or keep is None:
        return {"count": 0 if keep else -1}
    return {"count": keep}


def _pack(fields: Mapping[str, str]) -> bytes:
    packed: bytes = msgpack.packb([part for field in fields.items() for part in field])
    return packed
