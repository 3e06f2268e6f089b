"""The story of the pairs: choose them, ask both orders of each, keep one row per pair."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from annotate.answer_writer import DEFAULT_RHYTHM, AnswerWriter, Rhythm
from annotate.image_stream import Batch, Needing, StoredImage, decoded_batches
from annotate.pair_planner import IndexPairs, for_prefix_cache, plan_pairs
from annotate.prompts import Prompt
from annotate.summary import RunSummary
from annotate.teachers.engine import LabelAnswer, LabelEngine, LabelRequest
from annotate.teachers.teacher import Teacher
from data_store import queries
from data_store.console import progress, say
from data_store.layout import Store
from data_store.rejections import Rejection
from data_store.splits import TEST_FRACTION, is_test
from schemas.errors import InputError
from schemas.scale import LETTERS
from schemas.teacher_spec import PromptSpec


class Pair(NamedTuple):
    """Two images to compare; `a` has the smaller id."""

    a: StoredImage
    b: StoredImage


class JudgedPair(NamedTuple):
    """A pair and the answers with a shown first, and with b shown first."""

    pair: Pair
    ab: LabelAnswer
    ba: LabelAnswer

    @property
    def is_usable(self) -> bool:
        """Whether both orders were answered with numbers."""
        return self.ab.is_usable and self.ba.is_usable


class PairPlan(NamedTuple):
    """Which images may be paired, and how many pairs there should be in all."""

    wanted: int
    folder: str | None = None
    seed: int = 0
    train_only: bool = False
    split_seed: int = 0
    test_fraction: float = TEST_FRACTION


def annotate_pairs(
    store: Store,
    teacher: Teacher,
    prompt: Prompt,
    plan: PairPlan,
    *,
    rhythm: Rhythm = DEFAULT_RHYTHM,
) -> RunSummary:
    """Ask about pairs until the store holds `plan.wanted` of them, both orders of each.

    Args:
        store: holds the images, gets the answers.
        teacher: who is asked; it is started only if something is missing.
        prompt: a pair prompt with the labels A and B.
        plan: how many pairs of which images.
        rhythm: pairs handed to the engine (two questions each) and committed at a time.

    Raises:
        PairBudgetError: the images form fewer pairs.
        InputError: fewer than two images, or the prompt is no pair prompt.
        TeacherError: the teacher cannot be started or stops.
    """
    _check_prompt(prompt)
    question = teacher.read(prompt)
    images = _images(store, plan)
    answered = _answered(store, teacher.teacher_id, question.prompt_id, images)
    todo = _plan(images, plan, answered)
    store.write_teacher(teacher.spec)
    store.write_prompt(question)
    say(f"{len(todo)} pairs to ask about in both orders, {len(answered)} answered already")
    if not len(todo):
        return RunSummary(teacher.teacher_id, question.prompt_id, 0, 0, 0, len(answered), 0.0)

    engine = teacher.start()
    with (
        AnswerWriter(
            store, "pairs", teacher.teacher_id, engine.provenance, rhythm.shard_rows
        ) as writer,
        progress(len(todo), label="pairs", unit="pairs") as bar,
    ):
        for batch in decoded_batches(_batches(images, todo, rhythm.batch_size)):
            shown = [pair for pair in batch.work if _both_decoded(pair, batch)]
            judged = _ask_both_orders(engine, batch, shown, question)
            writer.append(
                [_row(one, teacher.teacher_id, question) for one in judged if one.is_usable],
                _rejected(batch, judged, teacher.teacher_id),
            )
            bar.advance(len(batch.work))
            if writer.rejected_count:
                bar.note(f"{writer.rejected_count} rejected")
    return writer.summary(question.prompt_id, asked=len(todo), already=len(answered))


def _check_prompt(prompt: Prompt) -> None:
    names = tuple(label.name for label in prompt.labels)
    if prompt.kind != "pair" or prompt.image_count != 2 or names != LETTERS:
        raise InputError(
            f"this is a {prompt.kind} prompt of {prompt.image_count} images with labels {names}",
            where="--prompt",
            fix="a pair prompt shows two images; its labels are A and B",
        )


def _images(store: Store, plan: PairPlan) -> pa.Table:
    images = queries.images_to_compare(store, folder=plan.folder)
    if plan.train_only:
        held_out = [
            is_test(group.as_py(), seed=plan.split_seed, test_fraction=plan.test_fraction)
            for group in images.column("group_id")
        ]
        images = images.filter(pa.array(held_out, pa.bool_()).to_numpy(zero_copy_only=False) ^ True)
    if images.num_rows < 2:
        raise InputError(
            f"there are {images.num_rows} images to compare",
            where=store.address,
            fix="add images with `store add-images FOLDER`, or give --images FOLDER",
        )
    return images


def _answered(store: Store, teacher_id: str, prompt_id: str, images: pa.Table) -> IndexPairs:
    """(A, 2) image numbers of the pairs of these images that are answered."""
    ids = images.column("image_id").to_numpy()
    rows = queries.answered_pairs(store, teacher_id, prompt_id)
    first, second = (rows.column(name).to_numpy() for name in ("image_a", "image_b"))
    known = np.isin(first, ids) & np.isin(second, ids)
    # `ids` is sorted, so numbers and ids have the same order.
    numbers = [np.searchsorted(ids, column[known]) for column in (first, second)]
    return np.stack(numbers, axis=1).astype(np.int64)


def _plan(images: pa.Table, plan: PairPlan, answered: IndexPairs) -> IndexPairs:
    groups = np.unique(images.column("group_id").to_numpy(), return_inverse=True)[1]
    pairs = plan_pairs(groups.astype(np.int64), plan.wanted, seed=plan.seed, answered=answered)
    return for_prefix_cache(pairs)


def _batches(images: pa.Table, todo: IndexPairs, size: int) -> Iterator[list[Needing[Pair]]]:
    named = images.select(["image_id", "path"])
    for start in range(0, len(todo), size):
        first, second = (
            [StoredImage(**row) for row in named.take(column).to_pylist()]
            for column in todo[start : start + size].T
        )
        yield [Needing(Pair(a, b), (a, b)) for a, b in zip(first, second, strict=True)]


def _both_decoded(pair: Pair, batch: Batch[Pair]) -> bool:
    return pair.a.image_id in batch.images and pair.b.image_id in batch.images


def _ask_both_orders(
    engine: LabelEngine, batch: Batch[Pair], shown: Sequence[Pair], question: PromptSpec
) -> list[JudgedPair]:

    def request(first: StoredImage, second: StoredImage) -> LabelRequest:
        images = (batch.images[first.image_id], batch.images[second.image_id])
        return LabelRequest(images, question.text, question.label_token_ids)

    requests = [request(pair.a, pair.b) for pair in shown]
    requests += [request(pair.b, pair.a) for pair in shown]
    answers = engine.label_logprobs(requests)
    forward, backward = answers[: len(shown)], answers[len(shown) :]
    return [JudgedPair(*one) for one in zip(shown, forward, backward, strict=True)]


def _row(judged: JudgedPair, teacher_id: str, question: PromptSpec) -> dict[str, object]:
    pair, ab, ba = judged
    return {
        "image_a": pair.a.image_id,
        "image_b": pair.b.image_id,
        "teacher_id": teacher_id,
        "prompt_id": question.prompt_id,
        "letter_logprobs_ab": ab.label_logprobs,
        "letter_logprobs_ba": ba.label_logprobs,
        "given_preference": None,
        "prompt_tokens": ab.prompt_tokens + ba.prompt_tokens,
        "cached_tokens": ab.cached_tokens + ba.cached_tokens,
    }


def _rejected(batch: Batch[Pair], judged: Sequence[JudgedPair], teacher_id: str) -> list[Rejection]:
    unreadable = [
        Rejection.of(error, stage="pairs", image_id=image_id, teacher_id=teacher_id)
        for image_id, error in batch.failures.items()
    ]
    useless = [
        Rejection(
            f"{one.pair.a.path} | {one.pair.b.path}",
            "pairs",
            "useless_answer",
            f"the teacher answered {one.ab.label_logprobs} and {one.ba.label_logprobs}",
            teacher_id=teacher_id,
        )
        for one in judged
        if not one.is_usable
    ]
    return unreadable + useless
