"""What does it cost that a bf16 teacher rounds its logits, and do stored states get it back?

    python -m benchmarks.rounding --store STORE

Asks the tiny teacher about the first images of a store with MOS (the demo's pictures: known
quality), through transformers, and gives each way of coming by a score a line of figures:

- float32: the points of a float32 run, with which the others are compared;
- bf16 logits: the points of a bf16 run, whose output matrix rounds;
- bf16 rows x state: the labels' rows times the state of that run, in more digits;
- bf16 rows x stored: the same, the state stored as float16 before;
- float32 rows x stored: the state of the float32 run, stored as float16;
- the last two lines are SIMULATED: large models have logits between 16 and 32, where bf16 numbers
  lie 0.125 apart; the tiny teacher's lie below 10. Its float32 logits are moved up to there, all by
  the same, and rounded to bf16; and rounded to float16 for comparison.

Ties: share of all pairs of images whose scores are the same to six decimals. The softmax over the
vocabulary, in float32, takes another constant from each image's logits and leaves differences in
the seventh between scores of the same logits.
"""

import argparse
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import torch
from scipy.stats import spearmanr

from annotate.image_stream import StoredImage, open_stored
from annotate.prompts import shipped_prompt
from annotate.questions import Asked, ask
from annotate.teachers.engine import TokenRequest
from annotate.teachers.label_rows import label_logits
from annotate.teachers.teacher import Teacher, find_teacher
from benchmarks.record import record
from data_store.index import query
from data_store.layout import open_store
from schemas.scale import logit_expectation, unit_score

FloatArray = npt.NDArray[np.float64]
HIGH = 24.0
"""The middle of the numbers that bf16 holds in steps of 0.125."""
DECIMALS = 6


def main() -> None:
    """Ask, compare, print and keep the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--store", required=True, help="with images and MOS; it is only read")
    parser.add_argument("--images", type=int, default=600)
    options = parser.parse_args()
    store = open_store(options.store)
    sql = """
        select image_id, path, mos_unit from images join mos using (image_id)
        order by image_id limit $count
    """
    chosen = query(store, sql, {"count": options.images}).to_pylist()
    images = [StoredImage(row["image_id"], row["path"]) for row in chosen]
    quality = np.array([row["mos_unit"] for row in chosen])

    exact_logits, exact_states = _asked(find_teacher("tiny", engine="transformers"), images)
    half = find_teacher("tiny", engine="transformers", dtype="bfloat16")
    half_logits, half_states = _asked(half, images)

    def times_rows(states: npt.NDArray[np.floating]) -> FloatArray:
        return label_logits(half.checkpoint, half.read(shipped_prompt("point")).spec, states)

    own_logits = times_rows(exact_states)
    high = torch.from_numpy(own_logits - own_logits.mean() + HIGH)
    ways = {
        "float32": exact_logits,
        "bf16_logits": half_logits,
        "bf16_rows_x_state": times_rows(half_states),
        "bf16_rows_x_stored": times_rows(half_states.astype(np.float16)),
        "float32_rows_x_stored": times_rows(exact_states.astype(np.float16)),
        "simulated_high_bf16_logits": high.to(torch.bfloat16).double().numpy(),
        "simulated_high_float16_logits": high.to(torch.float16).double().numpy(),
    }
    reference = _score(exact_logits)
    record("rounding", "images", float(len(images)), "images")
    record("rounding", "float32_largest_label_logit", float(own_logits.max()), "logit")
    for name, logits in ways.items():
        score = _score(logits)
        record("rounding", f"{name}_srcc", _srcc(score, quality), "srcc")
        record("rounding", f"{name}_srcc_with_float32", _srcc(score, reference), "srcc")
        record("rounding", f"{name}_ties", _ties(score), "share of pairs")
        record("rounding", f"{name}_distinct", float(len(np.unique(score))), "scores")
        record("rounding", f"{name}_error", float(np.abs(score - reference).mean()), "mean |score|")


def _asked(
    teacher: Teacher, images: list[StoredImage]
) -> tuple[FloatArray, npt.NDArray[np.float32]]:
    """The labels' log-probabilities (N, K) and the states (N, D) of one teacher."""
    # One question at a time: what it is padded with would be another rounding.
    teacher = replace(teacher, options=replace(teacher.options, max_batch=1))
    question = teacher.read(shipped_prompt("point"))
    tokens = teacher.start()
    shown = (Asked(question, (open_stored(one),), (one.image_id,)) for one in images)
    logprobs = np.array([answer.label_logprobs for answer in ask(tokens, shown)])
    tokens.close()

    def requests() -> Iterator[TokenRequest]:
        for one in images:
            yield TokenRequest((open_stored(one),), (one.image_id,), question.spec.text, ())

    engine = teacher.start_states()
    states = [answer.state for answer in engine.stream(requests()) if answer.state is not None]
    engine.close()
    return logprobs, np.stack(states)


def _score(logits: FloatArray) -> FloatArray:
    return np.round(unit_score(logit_expectation(logits)), DECIMALS)


def _srcc(a: FloatArray, b: FloatArray) -> float:
    return float(spearmanr(a, b).statistic)


def _ties(scores: FloatArray) -> float:
    _, counts = np.unique(scores, return_counts=True)
    pairs = len(scores) * (len(scores) - 1)
    return float((counts * (counts - 1)).sum() / pairs)


if __name__ == "__main__":
    main()
