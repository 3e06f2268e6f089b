"""The default executor: one worker in this process."""

from typing import Protocol

from annotate.job import Job
from annotate.summary import Receipt
from annotate.teachers.teacher import Teacher
from annotate.work import UNITS, Work
from data_store.console import progress
from data_store.layout import Store


class Executor(Protocol):
    """Gets a job's work done by one worker or many, and shows how far it is."""

    def run(self, store: Store, teacher: Teacher, job: Job, work: Work) -> Receipt:
        """Ask about all of the work; nothing is started where there is none.

        Raises:
            TeacherError: a teacher cannot be started or stops for good.
            StoreError: the store cannot be written.
        """


class LocalExecutor:
    """One teacher in this process, or in the processes that its engine starts."""

    def run(self, store: Store, teacher: Teacher, job: Job, work: Work) -> Receipt:
        """Ask about all of the work, in its order."""
        if not len(work):
            return Receipt()
        from annotate.worker import Worker

        worker = Worker(store, teacher, job)
        try:
            with progress(len(work), label=job.table, unit=UNITS[job.table]) as bar:

                def advance(count: int, rejected: int) -> None:
                    bar.advance(count)
                    if rejected:
                        bar.note(f"{rejected} rejected")

                return worker.run(work, advance=advance)
        finally:
            worker.close()


LOCAL = LocalExecutor()
