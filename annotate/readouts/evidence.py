"""What readouts read of a store: hidden states, or log-probabilities of the levels."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from annotate.readouts.readout import FloatArray, Kind
from data_store.embeddings import read_states
from data_store.index import query
from data_store.layout import Store
from schemas.errors import InputError
from schemas.scale import LEVEL_WORDS

LEAST_LOGPROB = -30.0
"""Lower logarithms count as this: an outside system may give a level no probability at all, which
the store keeps as -10000, and a line would see nothing else."""

_WITH_LEVELS = "list_count(level_logprobs) >= 2"
_WHERE = {
    "states": "select distinct teacher_id, prompt_id from embeddings order by all",
    "levels": f"select distinct teacher_id, prompt_id from points where {_WITH_LEVELS}"
    " order by all",
}
_COMMAND = {"states": "annotate embed", "levels": "annotate points"}


@dataclass(frozen=True, slots=True)
class Evidence:
    """What one teacher's answers to one prompt hold of N images."""

    image_ids: pa.Array
    """(N,) string, ascending."""
    features: npt.NDArray[np.floating[Any]]
    """(N, F): states as they are stored, float16; log-probabilities of the levels, float64."""
    levels: tuple[str, ...] = ()
    """(F,) the level words; none for states."""


def what_is_read(kind: Kind) -> str:
    """What a kind of readout reads: levels or states."""
    return "levels" if kind == "ridge_levels" else "states"


def find_evidence(store: Store, kind: Kind, *, teacher: str, prompt: str) -> tuple[str, str]:
    """Find whose answers to which prompt are read: the only ones there are, or those named.

    Args:
        store: where.
        kind: of the readout.
        teacher: name or start of an id; may be empty where one teacher has what is read.
        prompt: start of an id; may be empty where the teacher answered one prompt.

    Returns:
        teacher_id and prompt_id.

    Raises:
        InputError: nothing has what is read, or the names fit none or several.
    """
    read = what_is_read(kind)
    found = query(store, _WHERE[read])
    known = list(zip(*(found.column(name).to_pylist() for name in found.column_names), strict=True))
    specs = store.teachers()

    def name(teacher_id: str) -> str:
        return specs[teacher_id].name if teacher_id in specs else ""

    if not known:
        raise InputError(
            f"the store has no {read} of any teacher",
            where=store.address,
            fix=f"run `{_COMMAND[read]}` with the teacher first",
        )
    theirs = [one for one in known if name(one[0]) == teacher or (one[0].startswith(teacher))]
    fitting = [one for one in theirs if one[1].startswith(prompt)]
    if len(fitting) == 1:
        return fitting[0]
    there = ", ".join(f"{name(who)} ({who[:8]}) to prompt {asked[:8]}" for who, asked in known)
    raise InputError(
        f"{len(fitting)} of the answers in the store fit --teacher {teacher!r} --prompt {prompt!r}"
        f" and have {read}; there are: {there}",
        where="--teacher, --prompt",
        fix="name one teacher, and one prompt by the start of its id",
    )


def read_evidence(
    store: Store, kind: Kind, teacher_id: str, prompt_id: str, *, levels: tuple[str, ...] = ()
) -> Evidence:
    """Read what a readout of this kind is made from, of all images that have it.

    Args:
        store: where.
        kind: of the readout.
        teacher_id: whose answers.
        prompt_id: to which prompt.
        levels: of ridge_levels, the levels to read: an image that was not offered all of them is
            left out; if empty, those that every image was offered.

    Raises:
        InputError: there is nothing, states differ in width, or no two levels were offered for
            every image.
    """
    if what_is_read(kind) == "states":
        states = read_states(store, teacher_id, prompt_id)
        return Evidence(states.image_ids, states.values)
    columns = ", ".join(f"level_logprobs[{k + 1}]::double as l{k}" for k in range(len(LEVEL_WORDS)))
    found = query(
        store,
        f"""
        select image_id, {columns} from points
        where teacher_id = $teacher_id and prompt_id = $prompt_id and {_WITH_LEVELS}
        order by image_id
        """,
        {"teacher_id": teacher_id, "prompt_id": prompt_id},
    )
    ids = found.column("image_id").combine_chunks()
    logprobs = np.stack([found.column(k + 1).to_numpy() for k in range(len(LEVEL_WORDS))], axis=1)
    if not len(ids):
        raise InputError(
            f"the store has no levels of teacher {teacher_id[:12]}… for prompt {prompt_id[:12]}…",
            where=store.address,
            fix="run `annotate points` with the teacher first",
        )
    offered = ~np.isnan(logprobs)
    chosen = [LEVEL_WORDS.index(word) for word in levels] or np.flatnonzero(
        offered.all(axis=0)
    ).tolist()
    if len(chosen) < 2:
        raise InputError(
            "no two levels were offered for every image, so the images cannot be compared",
            where=f"the points of teacher {teacher_id[:12]}…",
            fix="import answers about the same levels under one name of a teacher, or use their"
            " scores as they are",
        )
    kept = offered[:, chosen].all(axis=1)
    return Evidence(
        ids.filter(pa.array(kept)),
        level_features(logprobs[kept][:, chosen]),
        tuple(LEVEL_WORDS[k] for k in chosen),
    )


def level_features(logprobs: FloatArray) -> FloatArray:
    """Log-probabilities given that one of the levels is answered: l_k - ln sum_j exp(l_j).

    They are what the level expectation is made from, so that a regression on them differs in
    nothing but the weight of each level; the probability of other words does not come in.

    Args:
        logprobs: (N, K), over the whole vocabulary or with any constant added to a row.

    Returns:
        (N, K), at least `LEAST_LOGPROB`.
    """
    among: FloatArray = logprobs - np.logaddexp.reduce(logprobs, axis=1, keepdims=True)
    return np.maximum(among, LEAST_LOGPROB)
