"""The story of an application: score what has the evidence and no score yet, as a teacher.

The scores of a readout are the points of a teacher of its own, who is the readout: its kind, its
numbers and whose evidence it reads. So whatever reads points reads them, `train run` above all.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from annotate.importing.new_rows import complete
from annotate.importing.point_rows import lists, numbers
from annotate.readouts.evidence import Evidence, find_evidence, read_evidence, what_is_read
from annotate.readouts.readout import Readout
from data_store.index import query
from data_store.layout import Store
from data_store.past_shards import bytes_per_row
from data_store.plans import Figure, Plan
from data_store.shards import commit_rows
from schemas.errors import InputError
from schemas.points import POINTS
from schemas.scale import LEVEL_WORDS
from schemas.teacher_spec import PromptSpec, TeacherSpec

ARCHITECTURE = "readout"
PRODUCER = "annotate readout apply"
ROWS_PER_SHARD = 1_000_000


@dataclass(frozen=True, slots=True)
class Applied:
    """What became of the images."""

    teacher: str
    """Name of the teacher that the scores are stored under."""
    teacher_id: str
    prompt_id: str
    added: int
    unchanged: int
    """Images that had their score already."""
    clipped: int
    """Of the added, scores that lay outside [0, 1]."""


def readout_teacher(readout: Readout, name: str) -> TeacherSpec:
    """The teacher that a readout is."""
    return TeacherSpec(
        name=name,
        revision="",
        architecture=ARCHITECTURE,
        weights_sha256=readout.readout_id,
        preprocessing_sha256=readout.teacher_id,  # what it sees of an image is what they said
        max_tiles=1,
        dtype="float64",
        quantization="none",
    )


def readout_prompt(readout: Readout) -> PromptSpec:
    """What a readout is asked."""
    return PromptSpec(
        kind="point",
        text=f"(a readout of the answers to prompt {readout.prompt_id})",
        labels=("score",),
        label_token_ids=((),),
    )


def apply_readout(store: Store, readout: Readout, *, name: str = "") -> Applied:
    """Score every image that has what the readout reads; what is scored already stays.

    Args:
        store: is read, and gets the scores, clipped to [0, 1]. They have no confidence: a readout
            says nothing of its certainty about one image.
        readout: of evidence that is in the store.
        name: of the teacher that the scores are stored under; by default made of the names of the
            teacher and the kind and of the number of labels.

    Raises:
        InputError: the store lacks the evidence, it has another width, or the name is another
            teacher's.
    """
    evidence, teacher, prompt, new = _missing(store, readout, name)
    scores = readout(evidence.features[new])
    store.write_teacher(teacher)
    store.write_prompt(prompt)
    for start in range(0, len(new), ROWS_PER_SHARD):
        part = slice(start, start + ROWS_PER_SHARD)
        rows = complete(
            _points(evidence.image_ids.take(pa.array(new[part])), scores[part]),
            "points",
            teacher_id=teacher.teacher_id,
            prompt_id=prompt.prompt_id,
        )
        commit_rows(store, "points", rows, producer=PRODUCER, teacher_id=teacher.teacher_id)
    return Applied(
        teacher.name,
        teacher.teacher_id,
        prompt.prompt_id,
        len(new),
        len(evidence.image_ids) - len(new),
        int(((scores < 0) | (scores > 1)).sum()),
    )


def apply_plan(store: Store, readout: Readout, *, name: str = "") -> Plan:
    """What `apply_readout` would score. Raises as it does; nothing is written."""
    evidence, teacher, _, new = _missing(store, readout, name)
    size = bytes_per_row(store, "points", teacher_id=teacher.teacher_id, assumed=None)
    return Plan(
        PRODUCER,
        "images",
        len(new),
        len(evidence.image_ids) - len(new),
        Figure(None, "seconds: the evidence is in the store, and no teacher is asked"),
        size.times(len(new)),
        {"teacher": teacher.name, "teacher_id": teacher.teacher_id},
    )


class _Missing(NamedTuple):
    evidence: Evidence
    teacher: TeacherSpec
    prompt: PromptSpec
    new: npt.NDArray[np.intp]
    """Rows of the evidence without a score."""


def _missing(store: Store, readout: Readout, name: str) -> _Missing:
    _require_evidence(store, readout)
    evidence = read_evidence(
        store, readout.kind, readout.teacher_id, readout.prompt_id, levels=readout.levels
    )
    teacher = readout_teacher(readout, _name(store, readout, name))
    prompt = readout_prompt(readout)
    scored = query(
        store,
        "select image_id from points where teacher_id = $teacher_id and prompt_id = $prompt_id",
        {"teacher_id": teacher.teacher_id, "prompt_id": prompt.prompt_id},
    ).column("image_id")
    new = np.flatnonzero(
        pc.invert(pc.is_in(evidence.image_ids, value_set=scored)).to_numpy(zero_copy_only=False)
    )
    return _Missing(evidence, teacher, prompt, new)


def _points(image_ids: pa.Array, scores: np.ndarray) -> pa.Table:
    no_levels = np.full((len(scores), len(LEVEL_WORDS)), np.nan)
    return pa.table(
        {
            "image_id": image_ids,
            "level_logprobs": lists(no_levels, POINTS.field("level_logprobs").type),
            "given_score": numbers(np.clip(scores, 0.0, 1.0)),
        }
    )


def _require_evidence(store: Store, readout: Readout) -> None:
    try:
        find_evidence(store, readout.kind, teacher=readout.teacher_id, prompt=readout.prompt_id)
    except InputError as error:
        read = what_is_read(readout.kind)
        raise InputError(
            f"the readout reads {read} of teacher {readout.teacher_id[:8]} for prompt"
            f" {readout.prompt_id[:8]}, and: {error.what}",
            where=store.address,
            fix="have that very teacher answer first (same weights, --dtype, --max-tiles and"
            " prompt), or fit a readout to what the store has",
        ) from error


def _name(store: Store, readout: Readout, wanted: str) -> str:
    """A name that no other teacher of the store has; the one already given to this readout."""
    teachers = store.teachers()
    own = readout_teacher(readout, "").teacher_id
    if own in teachers and (not wanted or teachers[own].name == wanted):
        return teachers[own].name
    taken = {spec.name for spec in teachers.values()}
    if own in teachers or wanted in taken:
        raise InputError(
            f"the readout's scores are stored under the name {teachers[own].name!r} already"
            if own in teachers
            else f"another teacher of the store has the name {wanted!r}",
            where="--name",
            fix="leave --name out, or give another",
        )
    of = teachers[readout.teacher_id].name if readout.teacher_id in teachers else "teacher"
    name = wanted or f"{of}-{readout.kind}-{readout.labels.label_count}"
    return f"{name}-{own[:8]}" if name in taken else name
