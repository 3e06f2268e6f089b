"""The story of a run: what is missing is planned, asked by an executor, and summed up."""

from collections.abc import Sequence

from annotate.executors.local import LOCAL, Executor
from annotate.executors.share import WHOLE, Share
from annotate.forecast import run_plan
from annotate.job import DEFAULT_PACE, Job, Pace
from annotate.pair_strategies import Asking, PairChoice
from annotate.pairs import plan_pairs
from annotate.points import plan_points
from annotate.prompts import Prompt, require_kind
from annotate.summary import Receipt, RunSummary
from annotate.teachers.teacher import Teacher
from annotate.work import Work
from data_store.console import say
from data_store.layout import Store


def annotate_points(  # noqa: PLR0913 - a run has as many sides as it has
    store: Store,
    teacher: Teacher,
    prompts: Sequence[Prompt],
    *,
    folder: str | None = None,
    limit: int | None = None,
    pace: Pace = DEFAULT_PACE,
    executor: Executor = LOCAL,
    share: Share = WHOLE,
) -> RunSummary:
    """Ask about every image without a committed answer, and commit the answers as they come.

    Args:
        store: holds the images, gets the answers.
        teacher: who is asked; it is started only if something is missing.
        prompts: point prompts whose labels are the five levels, worst first.
        folder: only images below this absolute folder; None for all.
        limit: ask about at most so many images.
        pace: how often answers are committed.
        executor: who does the work, and where.
        share: which part of the work is ours, where several of us run at once.

    Raises:
        InputError: the store has no image there, or a prompt's labels are not the levels.
        TeacherError: the teacher cannot be started or stops for good.
    """
    require_kind(prompts, "point")
    questions = [teacher.read(prompt) for prompt in prompts]
    prompt_ids = [question.prompt_id for question in questions]
    work, already = plan_points(store, teacher.teacher_id, prompt_ids, folder=folder, limit=limit)
    work = share.of_points(work)
    remember(store, teacher, prompts)
    say(f"{len(work)} images to ask about, {already} answered already{share}")
    say(run_plan(store, teacher, "points", todo=len(work), already=already).forecast())
    job = Job(store.address, "points", tuple(prompts), pace)
    return summed_up(teacher, prompt_ids, work, already, executor.run(store, teacher, job, work))


def annotate_pairs(  # noqa: PLR0913 - as above
    store: Store,
    teacher: Teacher,
    prompt: Prompt,
    choice: PairChoice,
    *,
    pace: Pace = DEFAULT_PACE,
    executor: Executor = LOCAL,
    share: Share = WHOLE,
) -> RunSummary:
    """Ask about pairs until the store holds as many as are wanted, both orders of each.

    Args:
        store: holds the images, gets the answers.
        teacher: who is asked; it is started only if something is missing.
        prompt: a pair prompt with the labels A and B.
        choice: how many pairs, of which images, chosen how.
        pace: how often answers are committed.
        executor: who does the work, and where.
        share: which part of the work is ours, where several of us run at once.

    Raises:
        PairBudgetError: the images form fewer pairs.
        InputError: fewer than two images, or the prompt is no pair prompt.
        TeacherError: the teacher cannot be started or stops for good.
    """
    require_kind([prompt], "pair")
    prompt_id = teacher.read(prompt).prompt_id
    asking = Asking(teacher.teacher_id, prompt_id)
    plan = plan_pairs(store, asking, choice, share=share)
    remember(store, teacher, [prompt])
    say(
        f"{len(plan.work)} pairs to ask about in both orders,"
        f" {plan.answered} answered already{share}{plan.remarks}"
    )
    say(run_plan(store, teacher, "pairs", todo=len(plan.work), already=plan.answered).forecast())
    job = Job(store.address, "pairs", (prompt,), pace)
    receipt = executor.run(store, teacher, job, plan.work)
    return summed_up(teacher, [prompt_id], plan.work, plan.answered, receipt)


def remember(store: Store, teacher: Teacher, prompts: Sequence[Prompt]) -> None:
    """Keep beside the answers who gives them and what is asked, in full."""
    store.write_teacher(teacher.spec)
    for prompt in prompts:
        store.write_prompt(teacher.read(prompt).spec)


def summed_up(
    teacher: Teacher, prompt_ids: Sequence[str], work: Work, already: int, receipt: Receipt
) -> RunSummary:
    """The summary of a run whose planned work led to this receipt."""
    return RunSummary(
        teacher.teacher_id,
        tuple(prompt_ids),
        asked=len(work),
        answered=receipt.answered,
        rejected=receipt.rejected,
        already=already,
        seconds=receipt.seconds,
    )
