"""Keeps the locks of running jobs, and tells when one is lost."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from bullmq.lock_manager import LockManager


class Locks(LockManager):  # type: ignore[misc]
    """bullmq's lock manager, which also counts as lost the lock of a job that ended while it was asked for.

    `lost` is called with the token of each lock that a running job has really lost.
    """

    def __init__(self, worker: Any, options: dict[str, Any], *, lost: Callable[[str], None]) -> None:
        super().__init__(worker, options["lockRenewTime"], options["lockDuration"], worker.id, worker.workerName)
        self._lost = lost

    def token_of(self, job_id: str) -> str | None:
        """The lock token of a running job, None when it is not running here."""
        tracked = self.tracked_jobs.get(job_id)
        return tracked["token"] if tracked else None

    async def _extend_locks(self, job_ids: Sequence[str]) -> None:
        tokens = {job_id: self.token_of(job_id) or "" for job_id in job_ids}
        try:
            failed = await self.worker.backend.extendLocks(list(tokens), list(tokens.values()), self.lock_duration)
        except Exception as error:
            self.worker.complain(error)
            return
        # Its job may have ended meanwhile, and may even run anew under another lock.
        lost = [job_id for job_id in failed or () if self.token_of(job_id) == tokens[job_id]]
        if lost:
            for job_id in lost:
                self._lost(tokens[job_id])
                self.cancel_job(job_id, "the lock of the job was lost")
            self.worker.emit("lockRenewalFailed", lost)
            for job_id in lost:
                self.worker.emit("error", RuntimeError(f"could not renew lock for job {job_id}"))
        if renewed := [job_id for job_id in tokens if job_id not in set(failed or ())]:
            self.worker.emit("locksRenewed", {"count": len(renewed), "jobIds": renewed})
