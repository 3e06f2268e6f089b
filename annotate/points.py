"""The story of the points: find the images a teacher has not judged, ask, keep one row each."""

from collections import deque
from collections.abc import Generator, Iterator, Sequence

import numpy as np
import pyarrow as pa

from annotate.answer_writer import Done
from annotate.image_stream import Decoding, Needing, StoredImage, shown
from annotate.questions import Asked, LabelAnswer, Question, ask
from annotate.teachers.engine import TokenEngine
from annotate.work import Work
from data_store import queries
from data_store.index import query
from data_store.layout import Store
from data_store.rejections import Rejection
from schemas.errors import InputError


def plan_points(
    store: Store,
    teacher_id: str,
    prompt_ids: Sequence[str],
    *,
    folder: str | None = None,
    limit: int | None = None,
) -> tuple[Work, int]:
    """The images without a committed answer, and how many answers there are already.

    Args:
        store: holds the images and the answers.
        teacher_id: who is asked.
        prompt_ids: what is asked; an image is asked every prompt that it lacks, one after the
            other, so that the image is decoded and cached once.
        folder: only images below this absolute folder; None for all.
        limit: at most so many images.

    Raises:
        InputError: the store has no image there.
    """
    missing = [
        queries.images_without_point(store, teacher_id, one, folder=folder) for one in prompt_ids
    ]
    already = sum(
        queries.count_answered(store, teacher_id, one, folder=folder) for one in prompt_ids
    )
    work = Work.of_each(missing[0]) if len(missing) == 1 else _several_prompts(store, missing)
    if not len(work) and not already:
        raise InputError(
            "the store has no image" + (f" below {folder}" if folder else ""),
            where=store.address,
            fix="add some with `store add-images FOLDER`, or give --images FOLDER",
        )
    return (work if limit is None else work.only(work.rows[:, 0] < limit)), already


def answer_points(
    engine: TokenEngine,
    questions: Sequence[Question],
    work: Work,
    *,
    teacher_id: str,
    decoding: Decoding,
    decoders: int | None = None,
) -> Generator[Done, None, None]:
    """Ask about each image of the work; yields each row or rejection as it is there."""
    unreadable: list[Rejection] = []
    waiting: deque[tuple[StoredImage, Question]] = deque()

    def asked() -> Iterator[Asked]:
        for image in shown(_needed(work, questions), decoding=decoding, processes=decoders):
            stored, question = image.work
            if image.failure:
                unreadable.append(
                    Rejection.of(
                        image.failure,
                        stage="points",
                        image_id=stored.image_id,
                        teacher_id=teacher_id,
                    )
                )
                continue
            waiting.append(image.work)
            yield Asked(question, image.images, (stored.image_id,))

    for answer in ask(engine, asked()):
        yield _done(*waiting.popleft(), answer, teacher_id)
        while unreadable:
            yield Done(rejections=(unreadable.pop(),))
    while unreadable:
        yield Done(rejections=(unreadable.pop(),))


def _several_prompts(store: Store, missing: Sequence[pa.Table]) -> Work:
    todo = pa.concat_tables(
        table.append_column("prompt", pa.array(np.full(table.num_rows, number)))
        for number, table in enumerate(missing)
    )
    images = query(
        store,
        """
        select image_id, any_value(path) as path, list(prompt order by prompt) as prompts
        from todo group by image_id order by image_id
        """,
        tables={"todo": todo},
    )
    prompts = images.column("prompts").combine_chunks()
    counts = prompts.value_lengths().to_numpy(zero_copy_only=False)
    numbers = np.repeat(np.arange(images.num_rows), counts)
    rows = np.stack([numbers, prompts.flatten().to_numpy(zero_copy_only=False)], axis=1)
    return Work(images.select(["image_id", "path"]), rows.astype(np.int32))


def _needed(
    work: Work, questions: Sequence[Question]
) -> Iterator[Needing[tuple[StoredImage, Question]]]:
    prompts = (questions[number] for number in work.rows[:, 1])
    for image, question in zip(work.stored(work.rows[:, 0]), prompts, strict=True):
        yield Needing((image, question), (image,))


def _done(image: StoredImage, question: Question, answer: LabelAnswer, teacher_id: str) -> Done:
    if not answer.is_usable:
        reason = "refused" if answer.problem else "useless_answer"
        detail = answer.problem or f"the teacher answered {answer.label_logprobs}"
        return Done(
            rejections=(
                Rejection(image.path, "points", reason, detail, image.image_id, teacher_id),
            )
        )
    return Done(
        row={
            "image_id": image.image_id,
            "teacher_id": teacher_id,
            "prompt_id": question.prompt_id,
            "level_logprobs": answer.label_logprobs,
            "given_score": None,
            "given_confidence": None,
            "prompt_tokens": answer.prompt_tokens,
            "cached_tokens": answer.cached_tokens,
        }
    )
