"""The story of the states: find the images without one, have a teacher read them, keep each state.

A state is a row beside the points: same teacher, same prompt, same keys. What it is worth is
learnt later, from the store alone (`annotate/readouts`).
"""

from collections import deque
from collections.abc import Generator, Iterator, Sequence

from annotate.answer_writer import Done
from annotate.executors.local import LOCAL, Executor
from annotate.executors.share import WHOLE, Share
from annotate.forecast import run_plan
from annotate.image_stream import Decoding, Needing, StoredImage, shown
from annotate.job import DEFAULT_PACE, Job, Pace
from annotate.prompts import Prompt, require_kind
from annotate.questions import Question
from annotate.run import remember, summed_up
from annotate.summary import RunSummary
from annotate.teachers.engine import TokenRequest
from annotate.teachers.states import StateAnswer, StateEngine
from annotate.teachers.teacher import Teacher
from annotate.work import Work
from data_store import queries
from data_store.console import say
from data_store.embeddings import state_cell
from data_store.layout import Store
from data_store.rejections import Rejection
from schemas.errors import InputError, RowRefused


def annotate_states(  # noqa: PLR0913 - a run has as many sides as it has
    store: Store,
    teacher: Teacher,
    prompt: Prompt,
    *,
    folder: str | None = None,
    limit: int | None = None,
    pace: Pace = DEFAULT_PACE,
    executor: Executor = LOCAL,
    share: Share = WHOLE,
) -> RunSummary:
    """Store the hidden state of every image that has none, and commit them as they come.

    Args:
        store: holds the images, gets the states.
        teacher: who reads; it is started only if something is missing.
        prompt: a point prompt; the state is taken where its answer would begin.
        folder: only images below this absolute folder; None for all.
        limit: at most so many images.
        pace: how often states are committed.
        executor: who does the work, and where.
        share: which part of the work is ours, where several of us run at once.

    Raises:
        InputError: the store has no image there, or this is no point prompt.
        TeacherError: the teacher gives no states, cannot be started or stops for good.
    """
    require_kind([prompt], "point")
    teacher.require_states()
    prompt_id = teacher.read(prompt).prompt_id
    work, already = plan_states(store, teacher.teacher_id, prompt_id, folder=folder, limit=limit)
    work = share.of_points(work)
    remember(store, teacher, [prompt])
    say(f"{len(work)} states to find, {already} found already{share}")
    say(run_plan(store, teacher, "embeddings", todo=len(work), already=already).forecast())
    job = Job(store.address, "embeddings", (prompt,), pace)
    receipt = executor.run(store, teacher, job, work)
    return summed_up(teacher, [prompt_id], work, already, receipt)


def plan_states(
    store: Store,
    teacher_id: str,
    prompt_id: str,
    *,
    folder: str | None = None,
    limit: int | None = None,
) -> tuple[Work, int]:
    """The images without a committed state, and how many have one; arguments as above.

    Raises:
        InputError: the store has no image there.
    """
    missing = queries.images_without_state(store, teacher_id, prompt_id, folder=folder)
    already = queries.count_answered(
        store, teacher_id, prompt_id, folder=folder, table="embeddings"
    )
    if not missing.num_rows and not already:
        raise InputError(
            "the store has no image" + (f" below {folder}" if folder else ""),
            where=store.address,
            fix="add some with `store add-images FOLDER`, or give --images FOLDER",
        )
    return Work.of_each(missing.slice(0, limit)), already


def answer_states(
    engine: StateEngine,
    questions: Sequence[Question],
    work: Work,
    *,
    teacher_id: str,
    decoding: Decoding,
    decoders: int | None = None,
) -> Generator[Done, None, None]:
    """Have each image of the work read; yields each row or rejection as it is there."""
    (question,) = questions
    text = question.spec.text
    unreadable: list[Rejection] = []
    waiting: deque[StoredImage] = deque()

    def requests() -> Iterator[TokenRequest]:
        for image in shown(_needed(work), decoding=decoding, processes=decoders):
            if image.failure:
                unreadable.append(
                    Rejection.of(
                        image.failure,
                        stage="embeddings",
                        image_id=image.work.image_id,
                        teacher_id=teacher_id,
                    )
                )
                continue
            waiting.append(image.work)
            yield TokenRequest(image.images, (image.work.image_id,), text, ())

    for answer in engine.stream(requests()):
        yield _done(waiting.popleft(), question, answer, teacher_id)
        while unreadable:
            yield Done(rejections=(unreadable.pop(),))
    while unreadable:
        yield Done(rejections=(unreadable.pop(),))


def _needed(work: Work) -> Iterator[Needing[StoredImage]]:
    return (Needing(image, (image,)) for image in work.stored(work.rows[:, 0]))


def _done(image: StoredImage, question: Question, answer: StateAnswer, teacher_id: str) -> Done:
    if answer.state is None:
        return _rejected(image, "refused", answer.problem, teacher_id)
    try:
        state = state_cell(answer.state)
    except RowRefused as error:  # overflow, in half precision or on the way to float16
        return _rejected(image, "useless_answer", error.what, teacher_id)
    return Done(
        row={
            "image_id": image.image_id,
            "teacher_id": teacher_id,
            "prompt_id": question.prompt_id,
            "state": state,
            "prompt_tokens": answer.prompt_tokens,
            "cached_tokens": answer.cached_tokens,
        }
    )


def _rejected(image: StoredImage, reason: str, detail: str, teacher_id: str) -> Done:
    rejection = Rejection(image.path, "embeddings", reason, detail, image.image_id, teacher_id)
    return Done(rejections=(rejection,))
