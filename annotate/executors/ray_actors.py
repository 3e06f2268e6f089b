"""The executor for a cluster: Ray Data hands pieces of the work to teachers, one per actor.

Ray is a scheduler here and nothing else. Answers never travel through it: each actor writes its
own shards into the store, and reports a receipt. A piece that is handed out again, because its
actor died, is asked only about what the store does not hold yet; so no row is written twice.
"""

import logging
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import ray
import ray.data
from ray.exceptions import RayError

from annotate.job import Job, TeacherChoice
from annotate.summary import Receipt
from annotate.teachers.teacher import Teacher
from annotate.work import NUMBERED, UNITS, Work
from data_store.console import progress, say
from data_store.layout import Store, open_store
from schemas.errors import EngineFailed, LeafError

PIECES_PER_WORKER = 16
"""A worker that is slower, or was lost, leaves at most a sixteenth of its part to the others."""
PIECES_IN_HAND = 2
"""One at work and one waiting; what waits at a lost worker is handed out again."""
SMALLEST_PIECE = 64
"""Rows; smaller pieces would be asked in small batches."""
LOCAL_OBJECT_BYTES = 256 * 1024 * 1024


class RayExecutor:
    """Some teachers on a Ray cluster; on this machine if `RAY_ADDRESS` names no other.

    Args:
        choice: the teacher as the user named it; every machine must be able to find it.
        num_workers: teachers at work at once.
        gpus_per_worker: GPUs that each is given; None for as many as one engine is spread over,
            or for none where the cluster has none.
    """

    def __init__(
        self, choice: TeacherChoice, num_workers: int, gpus_per_worker: float | None = None
    ) -> None:
        self._choice = choice
        self._num_workers = num_workers
        self._gpus_per_worker = gpus_per_worker

    def run(self, store: Store, teacher: Teacher, job: Job, work: Work) -> Receipt:
        """Ask about all of the work; progress is shown by pieces.

        Raises:
            TeacherError: a teacher cannot be started or stops for good.
            StoreError: a worker cannot write the store.
        """
        if not len(work):
            return Receipt()
        pieces = list(_pieces(work, job, self._num_workers))
        answered = rejected = 0
        seconds = 0.0
        with _cluster(), progress(len(work), label=job.table, unit=UNITS[job.table]) as bar:
            gpus = self._gpus_per_worker
            if gpus is None:
                has_gpus = ray.cluster_resources().get("GPU", 0) > 0
                gpus = float(teacher.options.tensor_parallel) if has_gpus else 0.0
            say(f"{len(pieces)} pieces for {self._num_workers} workers with {gpus:g} GPUs each")
            receipts = ray.data.from_items(pieces, override_num_blocks=len(pieces)).map(
                RayWorker,
                fn_constructor_args=(self._choice, job),
                compute=ray.data.ActorPoolStrategy(
                    size=self._num_workers, max_tasks_in_flight_per_actor=PIECES_IN_HAND
                ),
                num_cpus=1,
                num_gpus=gpus or None,
            )
            for receipt in _raised_as_ours(iter(receipts.iter_rows())):
                answered += receipt["answered"]
                rejected += receipt["rejected"]
                seconds = max(seconds, receipt["ended_s"])
                bar.advance(receipt["rows"])
                if rejected:
                    bar.note(f"{rejected} rejected")
        return Receipt(answered, rejected, seconds)


class RayWorker:
    """The actor: one started teacher that works through the pieces it is given."""

    def __init__(self, choice: TeacherChoice, job: Job) -> None:
        from annotate.worker import Worker

        self._job = job
        self._store = open_store(job.store)
        self._worker = Worker(self._store, choice.find(), job)
        self._busy_s = 0.0

    def __call__(self, piece: dict[str, Any]) -> dict[str, Any]:
        """Answer what is missing of one piece and commit it, before the receipt is given."""
        work = Work.from_bytes(piece["work"])
        receipt = self._worker.run(self._worker.unanswered(work))
        self._busy_s += receipt.seconds
        return {
            "rows": len(work),
            "answered": receipt.answered,
            "rejected": receipt.rejected,
            "ended_s": self._busy_s,
        }


def _pieces(work: Work, job: Job, num_workers: int) -> Iterator[dict[str, Any]]:
    # Neighbours stay together: the first images of pairs repeat along the work.
    even = -(-len(work) // (num_workers * PIECES_PER_WORKER))
    size = min(max(even, SMALLEST_PIECE), max(job.pace.shard_rows, SMALLEST_PIECE))
    for start in range(0, len(work), size):
        piece = work.piece(start, start + size, numbered=NUMBERED[job.table])
        yield {"work": piece.to_bytes()}


@contextmanager
def _cluster() -> Iterator[None]:
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    if os.environ.get("RAY_ADDRESS"):
        ray.init(logging_level="ERROR", log_to_driver=True)
        folder = None
    else:
        # A short path, because Ray puts sockets below it, whose paths are limited to 107 bytes.
        folder = tempfile.mkdtemp(prefix="leaf-ray-")
        ray.init(
            address="local",
            include_dashboard=False,
            logging_level="ERROR",
            log_to_driver=True,
            object_store_memory=LOCAL_OBJECT_BYTES,
            _node_ip_address="127.0.0.1",
            _temp_dir=folder,
        )
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    ray.data.DataContext.get_current().enable_progress_bars = False  # ours is the one to watch
    try:
        yield
    finally:
        ray.shutdown()
        if folder:
            shutil.rmtree(folder, ignore_errors=True)


def _raised_as_ours(rows: Iterator[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    try:
        yield from rows
    except RayError as error:
        cause: BaseException | None = error
        while cause is not None and not isinstance(cause, LeafError):
            cause = cause.__cause__ or getattr(cause, "cause", None)
        if cause is not None:
            raise cause from error
        raise EngineFailed(
            f"Ray gave up: {str(error).strip().splitlines()[-1]}",
            where="--executor ray",
            fix="run the same command again; what was committed is not asked again",
        ) from error
