"""Every error a user can cause or meet, in one tree; each says what, where and what to do.

LeafError                    prints its message without a trace and exits 2
├── InputError               what was given cannot be used
│   ├── ImageError           one image cannot be decoded; becomes a row in `rejections`
│   ├── MosFileError         a MOS, group or judgement file has wrong rows
│   ├── SettingsError        a setting is unknown or out of range
│   └── PairBudgetError      more pairs were asked for than exist
├── StoreError               the store cannot do what was asked
│   ├── StoreMissing         there is no store at that place
│   ├── StoreFormatError     the store was made by another format version
│   ├── ShardDamaged         a shard's bytes are not what its name says
│   ├── StoreNotWritable     the disk is full, or this user may not write
│   ├── StoreUnreachable     the place that holds it does not answer
│   ├── RowRefused           a row does not fit its table's schema
│   └── QueryRefused         a query is wrong or would do more than read
├── TeacherError             the teacher cannot answer
│   ├── TeacherMissing       its weights or its engine cannot be had
│   ├── LabelTokenError      its tokenizer cannot tell the labels apart
│   └── EngineFailed         the engine stopped or left a label out
│       └── EngineOutOfMemory  the device is full
└── TrainingError            the trainer cannot start or go on
    ├── NotEnoughData        too few points, pairs or MOS
    └── RunMismatch          a run folder belongs to other settings or another store
"""

from pathlib import Path
from typing import Any


class LeafError(Exception):
    """Base of all errors that are the world's fault and not the program's.

    Args:
        what: what is wrong, as one sentence without a full stop.
        where: the file, row, column or option that is wrong.
        fix: what the user can do next.
    """

    def __init__(self, what: str, *, where: str | Path, fix: str) -> None:
        super().__init__(f"{what}\n  where: {where}\n  fix:   {fix}")
        self.what = what
        self.where = str(where)
        self.fix = fix

    def __reduce__(self) -> tuple[Any, ...]:
        """Errors cross from worker processes whole, not as their message alone."""
        return _restored, (type(self), self.args, self.__dict__)


def _restored(kind: type[LeafError], args: tuple[Any, ...], state: dict[str, Any]) -> LeafError:
    error = kind.__new__(kind, *args)
    error.__dict__.update(state)
    return error


class InputError(LeafError):
    """What was given cannot be used."""


class ImageError(InputError):
    """One image cannot be decoded; `reason` is the short word kept in `rejections`."""

    def __init__(self, what: str, *, where: str | Path, fix: str, reason: str) -> None:
        super().__init__(what, where=where, fix=fix)
        self.reason = reason


class MosFileError(InputError):
    """A MOS, group or judgement file has wrong rows; all of them are named together."""


class SettingsError(InputError):
    """A setting is unknown, mistyped or out of range."""


class PairBudgetError(InputError):
    """More pairs were asked for than the images can form."""


class StoreError(LeafError):
    """The store cannot do what was asked."""


class StoreMissing(StoreError):
    """There is no store at that place."""


class StoreFormatError(StoreError):
    """The store was made by another format version."""


class ShardDamaged(StoreError):
    """A shard's bytes are not what its name says."""


class StoreNotWritable(StoreError):
    """The store's disk is full, or this user may not write there."""


class StoreUnreachable(StoreError):
    """The place that holds the store does not answer, or this user may not read it."""


class RowRefused(StoreError):
    """A row does not fit its table's schema; the row and the column are named."""


class QueryRefused(StoreError):
    """A query is wrong or would do more than read."""


class TeacherError(LeafError):
    """The teacher cannot answer."""


class TeacherMissing(TeacherError):
    """The teacher's weights or its engine cannot be had."""


class LabelTokenError(TeacherError):
    """The teacher's tokenizer cannot tell the labels apart in their context."""


class EngineFailed(TeacherError):
    """The engine stopped, or answered without one of the labels that were asked."""


class EngineOutOfMemory(EngineFailed):
    """The device is full; the engine can be started again with less in one pass."""


class TrainingError(LeafError):
    """The trainer cannot start or go on."""


class NotEnoughData(TrainingError):
    """Too few points, pairs or MOS for what was asked."""


class RunMismatch(TrainingError):
    """A run folder belongs to other settings or another store."""
