"""The story of the points: ask the teacher about every image it has not yet judged."""

from collections.abc import Iterator, Sequence

import pyarrow as pa

from annotate.answer_writer import DEFAULT_RHYTHM, AnswerWriter, Rhythm
from annotate.image_stream import Batch, Needing, StoredImage, decoded_batches
from annotate.prompts import Prompt
from annotate.summary import RunSummary
from annotate.teachers.engine import LabelAnswer, LabelEngine, LabelRequest
from annotate.teachers.teacher import Teacher
from data_store import queries
from data_store.console import progress, say
from data_store.layout import Store
from data_store.rejections import Rejection
from schemas.errors import InputError
from schemas.scale import LEVEL_WORDS
from schemas.teacher_spec import PromptSpec


def annotate_points(
    store: Store,
    teacher: Teacher,
    prompt: Prompt,
    *,
    folder: str | None = None,
    limit: int | None = None,
    rhythm: Rhythm = DEFAULT_RHYTHM,
) -> RunSummary:
    """Ask about every image without a committed answer, and commit the answers as they come.

    Args:
        store: holds the images, gets the answers.
        teacher: who is asked; it is started only if something is missing.
        prompt: a point prompt whose labels are the five levels, worst first.
        folder: only images below this absolute folder; None for all.
        limit: ask about at most so many images.
        rhythm: images handed to the engine, and answers committed, at a time.

    Raises:
        InputError: the store has no image there, or the prompt's labels are not the levels.
        TeacherError: the teacher cannot be started or stops.
    """
    _check_prompt(prompt)
    question = teacher.read(prompt)
    todo, already = _missing(store, teacher.teacher_id, question.prompt_id, folder)
    todo = todo.slice(0, limit)
    store.write_teacher(teacher.spec)
    store.write_prompt(question)
    say(f"{todo.num_rows} images to ask about, {already} answered already")
    if not todo.num_rows:
        return RunSummary(teacher.teacher_id, question.prompt_id, 0, 0, 0, already, 0.0)

    engine = teacher.start()
    with (
        AnswerWriter(
            store, "points", teacher.teacher_id, engine.provenance, rhythm.shard_rows
        ) as writer,
        progress(todo.num_rows, label="points", unit="images") as bar,
    ):
        for batch in decoded_batches(_batches(todo, rhythm.batch_size)):
            shown = [image for image in batch.work if image.image_id in batch.images]
            answers = _ask(engine, batch, shown, question)
            answered = list(zip(shown, answers, strict=True))
            writer.append(
                [_row(*one, teacher.teacher_id, question) for one in answered if one[1].is_usable],
                _rejected(batch, answered, teacher.teacher_id),
            )
            bar.advance(len(batch.work))
            if writer.rejected_count:
                bar.note(f"{writer.rejected_count} rejected")
    return writer.summary(question.prompt_id, asked=todo.num_rows, already=already)


def _check_prompt(prompt: Prompt) -> None:
    names = tuple(label.name for label in prompt.labels)
    if prompt.kind != "point" or prompt.image_count != 1 or names != LEVEL_WORDS:
        raise InputError(
            f"this is a {prompt.kind} prompt of {prompt.image_count} images with labels {names}",
            where="--prompt",
            fix=f"a point prompt shows one image; its labels are {', '.join(LEVEL_WORDS)}",
        )


def _missing(
    store: Store, teacher_id: str, prompt_id: str, folder: str | None
) -> tuple[pa.Table, int]:
    todo = queries.images_without_point(store, teacher_id, prompt_id, folder=folder)
    already = queries.count_answered(store, teacher_id, prompt_id, folder=folder)
    if not todo.num_rows and not already:
        raise InputError(
            "the store has no image" + (f" below {folder}" if folder else ""),
            where=store.address,
            fix="add some with `store add-images FOLDER`, or give --images FOLDER",
        )
    return todo, already


def _batches(todo: pa.Table, size: int) -> Iterator[list[Needing[StoredImage]]]:
    for start in range(0, todo.num_rows, size):
        images = [StoredImage(**row) for row in todo.slice(start, size).to_pylist()]
        yield [Needing(image, (image,)) for image in images]


def _ask(
    engine: LabelEngine,
    batch: Batch[StoredImage],
    shown: Sequence[StoredImage],
    question: PromptSpec,
) -> list[LabelAnswer]:
    return engine.label_logprobs(
        [
            LabelRequest((batch.images[image.image_id],), question.text, question.label_token_ids)
            for image in shown
        ]
    )


def _row(
    image: StoredImage, answer: LabelAnswer, teacher_id: str, question: PromptSpec
) -> dict[str, object]:
    return {
        "image_id": image.image_id,
        "teacher_id": teacher_id,
        "prompt_id": question.prompt_id,
        "level_logprobs": answer.label_logprobs,
        "given_score": None,
        "given_confidence": None,
        "prompt_tokens": answer.prompt_tokens,
        "cached_tokens": answer.cached_tokens,
    }


def _rejected(
    batch: Batch[StoredImage],
    answered: Sequence[tuple[StoredImage, LabelAnswer]],
    teacher_id: str,
) -> list[Rejection]:
    unreadable = [
        Rejection.of(error, stage="points", image_id=image_id, teacher_id=teacher_id)
        for image_id, error in batch.failures.items()
    ]
    useless = [
        Rejection(
            image.path,
            "points",
            "useless_answer",
            f"the teacher answered {answer.label_logprobs}",
            image.image_id,
            teacher_id,
        )
        for image, answer in answered
        if not answer.is_usable
    ]
    return unreadable + useless
