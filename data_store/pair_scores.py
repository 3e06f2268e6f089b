"""The story of `store bradley-terry`: a teacher's preferences, turned into one score per image."""

from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from data_store import queries
from data_store.bradley_terry import Comparisons, component_count, fit_bradley_terry
from data_store.index import query
from data_store.layout import Store
from schemas.errors import InputError


class PairScores(NamedTuple):
    """Scores from pairs, and what they rest on."""

    rows: pa.Table
    """image_id, path, bt_score in logits, standard_error in logits (null where there are too many
    images to compute it), pair_count; best image first."""
    pair_count: int
    left_out_count: int
    """Pairs that were not sure enough."""
    part_count: int
    """Sets of images that no pair connects; scores of two of them cannot be compared."""
    converged: bool


def pair_scores(
    store: Store, *, teacher: str = "", prompt: str = "", min_confidence: float = 0.0
) -> PairScores:
    """Fit the Bradley-Terry model to the preferences of one teacher.

    Args:
        store: which store.
        teacher: the start of its id, or its name; may be empty where there is one with pairs.
        prompt: the start of a prompt's id; empty for all. Where several prompts were asked about a
            pair, preference and confidence are means over them, and the pair counts once.
        min_confidence: less certain pairs are left out, in [0, 1].

    Raises:
        InputError: no teacher or prompt fits, several do, or no pair is left.
    """
    teacher_id = _teacher_with_pairs(store, teacher)
    prompt_id = _prompt_of(store, teacher_id, prompt) if prompt else None
    judged = queries.teacher_pairs(store, teacher_id, prompt_id=prompt_id)
    sure = judged.filter(pc.field("confidence") >= min_confidence)
    if not sure.num_rows:
        raise InputError(
            f"none of {judged.num_rows} pairs has a confidence of {min_confidence:g}",
            where="--min-confidence",
            fix="lower it, or annotate more pairs",
        )
    ids, pairs = _comparisons(sure)
    fit = fit_bradley_terry(pairs)
    errors = pa.nulls(len(ids), pa.float64())
    if fit.standard_errors is not None:
        errors = pa.array(fit.standard_errors)
    found = pa.table(
        {
            "image_id": ids,
            "bt_score": fit.scores,
            "standard_error": errors,
            "pair_count": np.bincount(np.concatenate([pairs.first, pairs.second])),
        }
    )
    return PairScores(
        _with_paths(store, found),
        sure.num_rows,
        judged.num_rows - sure.num_rows,
        component_count(pairs),
        fit.converged,
    )


def _comparisons(judged: pa.Table) -> tuple[pa.Array, Comparisons]:
    """The images that stand in a pair, and the pairs by their numbers."""
    ends = pa.chunked_array([*judged.column("image_a").chunks, *judged.column("image_b").chunks])
    coded = ends.combine_chunks().dictionary_encode()
    numbers = coded.indices.to_numpy().astype(np.int64)
    preference = judged.column("preference_prob").to_numpy().astype(np.float64)
    count = judged.num_rows
    return coded.dictionary, Comparisons(
        len(coded.dictionary), numbers[:count], numbers[count:], preference, np.ones(count)
    )


def _with_paths(store: Store, found: pa.Table) -> pa.Table:
    return query(
        store,
        """
        select image_id, path, bt_score, standard_error, pair_count
        from found left join images using (image_id)
        order by bt_score desc, image_id
        """,
        tables={"found": found},
    )


def _teacher_with_pairs(store: Store, wanted: str) -> str:
    listed = query(
        store, "select distinct teacher_id from shards where table_name = 'pairs' order by all"
    )
    specs = store.teachers()
    ids = listed.column("teacher_id").to_pylist()
    known = {one: specs[one].name if one in specs else "" for one in ids}
    fitting = [
        one for one, name in known.items() if not wanted or one.startswith(wanted) or name == wanted
    ]
    if len(fitting) == 1:
        return str(fitting[0])
    names = ", ".join(f"{name} ({one[:8]})" for one, name in known.items()) or "none"
    asked = f"fit {wanted!r}" if wanted else "could be meant"
    raise InputError(
        f"{len(fitting)} teachers with pairs {asked}; the store has {names}",
        where="--teacher",
        fix="give the start of the id" if known else "run `annotate pairs` first",
    )


def _prompt_of(store: Store, teacher_id: str, wanted: str) -> str:
    listed = query(
        store,
        "select distinct prompt_id from pairs where teacher_id = $teacher_id order by all",
        {"teacher_id": teacher_id},
    )
    known = listed.column("prompt_id").to_pylist()
    fitting = [one for one in known if one.startswith(wanted)]
    if len(fitting) == 1:
        return str(fitting[0])
    raise InputError(
        f"{len(fitting)} prompts fit {wanted!r};"
        f" the teacher compared pairs with {', '.join(one[:8] for one in known)}",
        where="--prompt",
        fix="give the start of one prompt's id, or leave it out for the mean of all",
    )
