"""A job is what `Job.fromJSON` makes of the same fields, whatever they are."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import bullmq
from hypothesis import given
from hypothesis import strategies as st

from tidings.engine.worker.job import JobMaker

QUEUE: Any = SimpleNamespace(backend=object(), qualifiedName="bull:orders", opts={})
MOMENTS = st.integers(0, 2**42).map(str)
SMALL = st.integers(0, 100)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
BACKOFFS = SMALL | st.fixed_dictionaries({"type": st.sampled_from(["fixed", "exponential", "mine"]), "delay": SMALL})
KEEP = st.booleans() | SMALL | st.fixed_dictionaries({"count": SMALL})
OPTIONS = st.fixed_dictionaries(
    {},
    optional={
        "attempts": SMALL,
        "delay": SMALL,
        "priority": SMALL,
        "backoff": BACKOFFS,
        "removeOnComplete": KEEP,
        "removeOnFail": KEEP,
        "lifo": st.booleans(),
        "jobId": st.text(max_size=5),
        "stackTraceLimit": SMALL,
        "parent": st.fixed_dictionaries({"id": st.text(), "queue": st.text()}),
        "fpof": st.booleans(),
        "de": st.fixed_dictionaries({"id": st.text()}),
        "kl": SMALL,
    },
)
FIELDS = st.fixed_dictionaries(
    {
        "name": st.text(max_size=5),
        "timestamp": MOMENTS,
        "opts": OPTIONS.map(json.dumps),
        "data": JSON.map(json.dumps),
    },
    optional={
        "delay": MOMENTS,
        "priority": MOMENTS,
        "processedOn": MOMENTS,
        "finishedOn": MOMENTS,
        "ats": SMALL.map(str),
        "atm": SMALL.map(str),
        "stc": SMALL.map(str),
        "rjk": st.text(max_size=5),
        "pb": st.text(max_size=5),
        "defa": st.text(max_size=5),
        "failedReason": st.text(max_size=5),
        "returnvalue": JSON.map(json.dumps) | st.text(max_size=5),
        "progress": JSON.map(json.dumps),
        "stacktrace": st.lists(st.text(max_size=5), max_size=2).map(json.dumps),
        "parentKey": st.text(max_size=5),
        "parent": st.fixed_dictionaries({"id": st.text(max_size=5)}).map(json.dumps),
    },
)


@given(FIELDS)
def test_every_attribute_is_that_of_bullmqs_own_job(fields: dict[str, str]) -> None:
    ours = JobMaker(QUEUE).make(fields, "7")
    theirs = bullmq.Job.fromJSON(QUEUE, fields, "7")
    assert vars(ours) == vars(theirs)


def test_jobs_share_nothing_that_may_be_changed() -> None:
    maker = JobMaker(QUEUE)
    one, other = (maker.make({"name": "order"}, str(number)) for number in range(2))
    one.stacktrace.append("boom")
    one.opts["attempts"] = 5
    assert other.stacktrace == []
    assert other.opts["attempts"] == 0


def test_a_job_that_cannot_be_read_comes_with_the_failure_it_ends_with() -> None:
    job = JobMaker(QUEUE).make({"name": "order", "data": "{not json"}, "7")
    assert job.id == "7"
    assert job.deferredFailure.startswith("the job cannot be read: ")
