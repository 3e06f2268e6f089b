"""Named points at which a test can kill the process, to prove that nothing is lost there.

Without the environment variable `LEAF_FAULT_POINT` a point does nothing. With it, the process
is killed by SIGKILL when it reaches the point of that name: no handler, no clean-up, as when
the machine loses power or the kernel runs out of memory.
"""

import os
import signal

FAULT_POINTS = (
    "write.opened",
    "write.half_written",
    "write.before_flush",
    "write.before_rename",
    "write.renamed",
    "index.begun",
    "index.listed",
    "index.built",
    "index.published",
    "compact.begun",
    "compact.merged",
    "compact.half_deleted",
    "compact.done",
    "repair.begun",
    "repair.copied",
    "repair.moved",
    "repair.done",
)

_WANTED = "LEAF_FAULT_POINT"


def reach(point: str) -> None:
    """Die here if a test asked for it."""
    if os.environ.get(_WANTED) == point:
        os.kill(os.getpid(), signal.SIGKILL)
