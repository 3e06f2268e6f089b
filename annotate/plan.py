"""What a run of the teacher would do: rows to ask, rows there already, time, disk.

The rows are planned by the functions that the run itself plans with. No engine is started and
nothing is written; images of a folder that are not in the store yet are counted and not read.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from annotate.embed import plan_states
from annotate.executors.share import WHOLE, Share
from annotate.forecast import run_plan
from annotate.job import TableName, TeacherChoice
from annotate.pair_strategies import Asking, PairChoice, Strategy
from annotate.pairs import plan_pairs
from annotate.points import plan_points
from annotate.prompts import Prompt, require_kind
from annotate.teachers.teacher import Teacher
from data_store.images.sources import find_images
from data_store.images.to_add import count_new
from data_store.index import query
from data_store.layout import Store, open_store, store_or_none
from data_store.plans import Plan
from schemas.errors import InputError


class Looked(NamedTuple):
    """A teacher, and what it would be asked about; nothing was made or added."""

    teacher: Teacher
    store: Store | None
    """None where it would have to be made first."""
    folder: str | None
    new: int = 0
    """Files of the folder that would have to be added first."""
    known: int = 1
    """Images of the folder that the store has; not counted where there is no folder."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What the count of new files is worth."""
        if not self.new:
            return ()
        return (
            f"{self.new:,} files below {self.folder} are not in the store yet and would be added"
            " first; copies and damaged files among them are found only then, so fewer may be"
            " asked about",
        )


def look(choice: TeacherChoice, store: str, images: Path | None) -> Looked:
    """Find what a run would find, without making a store or adding an image.

    Raises:
        TeacherMissing: the weights or the engine cannot be had.
        StoreMissing: there is no store, and no folder to fill one from.
        InputError: the folder holds no image.
    """
    if images is None:
        opened = open_store(store)
        return Looked(choice.find(), opened, None)
    teacher = choice.find()
    folder = str(images.expanduser().resolve())
    present = store_or_none(store)
    parts = find_images([images], without=present.root if present else None)
    found = count_new(present, parts)
    return Looked(teacher, present, folder, found.new, found.known)


def points_plan(
    looked: Looked, prompts: Sequence[Prompt], *, limit: int | None, share: Share = WHOLE
) -> Plan:
    """What `annotate points` would ask. Raises InputError, TeacherError as it does."""
    require_kind(prompts, "point")
    teacher = looked.teacher
    ids = [teacher.read(prompt).prompt_id for prompt in prompts]
    todo = already = 0
    if looked.store is not None and looked.known:
        work, already = plan_points(
            looked.store, teacher.teacher_id, ids, folder=looked.folder, limit=limit
        )
        todo = len(share.of_points(work))
    new = _new_images(looked, limit, todo, share)
    return _planned("points", looked, todo + new * len(prompts), already)


def states_plan(looked: Looked, prompt: Prompt, *, limit: int | None, share: Share = WHOLE) -> Plan:
    """What `annotate embed` would ask. Raises InputError, TeacherError as it does."""
    require_kind([prompt], "point")
    teacher = looked.teacher
    teacher.require_states()
    prompt_id = teacher.read(prompt).prompt_id
    todo = already = 0
    if looked.store is not None and looked.known:
        work, already = plan_states(
            looked.store, teacher.teacher_id, prompt_id, folder=looked.folder, limit=limit
        )
        todo = len(share.of_points(work))
    new = _new_images(looked, limit, todo, share)
    return _planned("embeddings", looked, todo + new, already)


def pairs_plan(looked: Looked, prompt: Prompt, choice: PairChoice, *, share: Share = WHOLE) -> Plan:
    """What `annotate pairs` would ask. Raises InputError, TeacherError as it does.

    With images that are not in the store yet the pairs cannot be laid out; their number follows
    from the budget, if the images will form as many.
    """
    require_kind([prompt], "pair")
    teacher = looked.teacher
    prompt_id = teacher.read(prompt).prompt_id
    if looked.store is not None and not looked.new:
        plan = plan_pairs(looked.store, Asking(teacher.teacher_id, prompt_id), choice, share=share)
        notes = (plan.remarks.removeprefix("; "),) if plan.remarks else ()
        return _planned("pairs", looked, len(plan.work), plan.answered, notes)
    if choice.strategy is not Strategy.RANDOM or choice.wanted is None:
        raise InputError(
            "which pairs there would be depends on images that are not in the store yet",
            where=f"--images {looked.folder}",
            fix="add them with `store add-images` first; then the plan is exact",
        )
    answered = _answered_pairs(looked, prompt_id)
    todo = -(-max(choice.wanted - answered, 0) // share.parts)
    notes = (f"that the images form {choice.wanted:,} pairs is not checked yet",)
    return _planned("pairs", looked, todo, answered, notes)


def _planned(
    table: TableName, looked: Looked, todo: int, already: int, notes: tuple[str, ...] = ()
) -> Plan:
    plan = run_plan(looked.store, looked.teacher, table, todo=todo, already=already)
    return replace(
        plan,
        details={**plan.details, "images_to_add_first": looked.new},
        notes=(*looked.notes, *notes),
    )


def _new_images(looked: Looked, limit: int | None, todo: int, share: Share) -> int:
    room = looked.new if limit is None else max(limit - todo, 0)
    return -(-min(looked.new, room) // share.parts)


def _answered_pairs(looked: Looked, prompt_id: str) -> int:
    """Answered pairs of which both images lie below the folder."""
    if looked.store is None:
        return 0
    found = query(
        looked.store,
        """
        with here as (
            select image_id from image_files where starts_with(path, $folder)
        )
        select count(*) as n from pairs
        where teacher_id = $teacher_id and prompt_id = $prompt_id
            and image_a in (from here) and image_b in (from here)
        """,
        {
            "folder": f"{looked.folder}/",
            "teacher_id": looked.teacher.teacher_id,
            "prompt_id": prompt_id,
        },
    )
    return int(found.column("n")[0].as_py())
