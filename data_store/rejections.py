"""Rows for files and questions that gave no row elsewhere, each kept once."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from data_store.index import query
from data_store.layout import Store
from data_store.shards import commit_rows
from schemas.errors import ImageError
from schemas.rejections import REJECTIONS
from schemas.rows import to_table


@dataclass(frozen=True, slots=True)
class Rejection:
    """One refused file or question; the columns of table `rejections`."""

    path: str
    stage: str
    reason: str
    detail: str
    image_id: str | None = None
    teacher_id: str | None = None

    @classmethod
    def of(
        cls,
        error: ImageError,
        *,
        stage: str,
        image_id: str | None = None,
        teacher_id: str | None = None,
    ) -> "Rejection":
        """The rejection that an image error amounts to."""
        return cls(error.where, stage, error.reason, error.what, image_id, teacher_id)


def commit_rejections(
    store: Store, rejections: Sequence[Rejection], *, producer: str, teacher_id: str = ""
) -> int:
    """Commit those rejections the store does not hold yet; returns how many were new."""
    known = {
        tuple(row.values())
        for row in query(store, "select path, stage, reason from rejections").to_pylist()
    }
    new = {(r.path, r.stage, r.reason): r for r in rejections}
    rows = [asdict(r) for key, r in sorted(new.items()) if key not in known]
    if rows:
        commit_rows(
            store,
            "rejections",
            to_table(rows, REJECTIONS),
            producer=producer,
            teacher_id=teacher_id,
        )
    return len(rows)
