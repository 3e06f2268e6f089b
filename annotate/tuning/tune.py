"""The story of a tuning: look at the pictures, train, merge, and measure what came of it.

Q-Scorer (Tang et al., arXiv:2511.07812): low-rank updates of the language model, a token for each
part of the scale, and an MLP from the state that predicts the token to the score. What of the
released code is not copied is in docs/tuning.md.
"""

import importlib.util
import json
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from annotate.prompts import Prompt, require_kind
from annotate.questions import Question
from annotate.teachers.checkpoints import read_config
from annotate.teachers.image_tokens import TILED
from annotate.teachers.teacher import Teacher
from annotate.tuning.labels import TuningData, read_tuning_data
from annotate.tuning.settings import TuneSettings
from data_store.console import progress, say
from data_store.files import TEMPORARY_PREFIX, write_atomically
from data_store.layout import Store
from schemas.errors import InputError, TeacherMissing

if TYPE_CHECKING:
    from annotate.tuning.model import TunedTeacher
    from annotate.tuning.sight import Pictures, Sight

SUMMARY_FILE = "summary.json"
TERMS = ("total", "token", "score", "soft_label", "fidelity", "norm")
"""What the losses of an epoch are, in the order of `summary.json`."""


@dataclass(frozen=True, slots=True)
class Tuned:
    """What a tuning came to, as `summary.json` holds it."""

    teacher_id: str
    """Of the tuned teacher."""
    prompt_id: str
    labelled: int
    held_out: int
    measures: dict[str, float | None]
    """srcc, plcc, rmse and bias on the held-out images; empty where there are fewer than two."""
    losses: list[dict[str, float]]
    """Mean terms of each epoch."""

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


class _Task(NamedTuple):
    """One tuning: who, what is asked, from what it is learnt, how, and where it goes."""

    teacher: Teacher
    question: Question
    data: TuningData
    settings: TuneSettings
    folder: Path


def tune(
    store: Store,
    teacher: Teacher,
    prompt: Prompt,
    folder: Path,
    settings: TuneSettings,
    *,
    pictures: "Pictures | None" = None,
) -> Tuned:
    """Tune a teacher on the opinions of a store, or go on where a killed call stopped.

    Args:
        store: has images and MOS.
        teacher: who is tuned; of an architecture with a frozen tower and a language model.
        prompt: a point prompt; its stem ends where the score token is to come.
        folder: gets the tuned checkpoint; new, or of this very tuning.
        settings: of the tuning.
        pictures: looked at by the same teacher for the same prompt before, so that another
            tuning in this process need not look again; None looks anew.

    Raises:
        NotEnoughData: too few labels, or all the same.
        RunMismatch: the folder belongs to another tuning.
        TeacherMissing: the architecture cannot be tuned, or a package is missing.
        LabelTokenError: the tokenizer has score tokens already.
        ImageError: a labelled or held-out picture cannot be decoded.
        TrainingError: the training cannot start or go on.
    """
    question, known_tokens, data = checked(store, teacher, prompt, settings)
    from annotate.tuning.record import record_tuning
    from annotate.tuning.sight import Pictures

    record_tuning(
        folder,
        settings,
        store,
        data,
        teacher_id=teacher.teacher_id,
        prompt_id=question.prompt_id,
    )
    if (folder / SUMMARY_FILE).exists():
        say("this tuning is finished; there is nothing to do")
        return read_summary(folder)
    _remove_left_over(folder)
    say(
        f"{len(data.labelled)} labelled images, {settings.epochs} times each;"
        f" {len(data.held_out)} held out"
    )
    task = _Task(teacher, question, data, settings, folder)
    tuned, sight = _trainable(task, known_tokens)
    pictures = pictures or Pictures(sight, limit_bytes=settings.feature_bytes)
    losses = _train(task, tuned, pictures)
    return _finish(task, tuned, pictures, losses)


class Checked(NamedTuple):
    """What is known of a tuning before any weight is loaded."""

    question: Question
    known_tokens: int
    """The id of the first score token."""
    data: TuningData


def checked(store: Store, teacher: Teacher, prompt: Prompt, settings: TuneSettings) -> Checked:
    """Refuse what cannot be tuned or learnt from, before any weight is loaded.

    Raises:
        NotEnoughData, TeacherMissing, LabelTokenError, InputError: as `tune`.
    """
    require_kind([prompt], "point")
    require_tunable(teacher)
    question = teacher.read(prompt)
    known_tokens = _known_tokens(teacher, settings.score_tokens)
    return Checked(question, known_tokens, read_tuning_data(store, settings))


def read_summary(folder: Path) -> Tuned:
    """What a finished tuning came to.

    Raises:
        InputError: there is no summary that can be read.
    """
    path = folder / SUMMARY_FILE
    try:
        return Tuned(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise InputError(
            f"the summary cannot be read: {error}",
            where=path,
            fix="delete that file and run the same command again",
        ) from error


def require_tunable(teacher: Teacher) -> None:
    """Refuse what cannot be tuned before anything is loaded.

    Raises:
        TeacherMissing: another architecture than InternVL, weights of a quantised format, or
            packages that are not installed.
    """
    architecture = read_config(teacher.checkpoint)["architectures"][0]
    if architecture != TILED:
        raise TeacherMissing(
            f"{architecture} cannot be tuned",
            where=teacher.checkpoint,
            fix=f"give a checkpoint of {TILED}; a ridge or MLP readout of this teacher's states"
            " needs no tuning (`annotate embed`, `annotate readout fit`)",
        )
    missing = [name for name in ("peft", "accelerate") if importlib.util.find_spec(name) is None]
    if missing:
        raise TeacherMissing(
            f"tuning needs {' and '.join(missing)}",
            where="annotate tune",
            fix="pip install 'leaf-iqa[annotate,tune]'",
        )


def look(teacher: Teacher, prompt: Prompt, *, limit_bytes: int) -> "Pictures":
    """Pictures that several tunings of one teacher, in one process, can share.

    Args:
        teacher: who will be tuned.
        prompt: what it will be asked.
        limit_bytes: of what is kept of them.
    """
    from annotate.tuning.model import load_weights
    from annotate.tuning.sight import Pictures, Sight

    model = load_weights(teacher.checkpoint, teacher.options.dtype)
    return Pictures(Sight(teacher, teacher.read(prompt), model), limit_bytes=limit_bytes)


def _known_tokens(teacher: Teacher, count: int) -> int:
    """The id of the first score token. Raises LabelTokenError."""
    from annotate.teachers.chat import load_processor
    from annotate.tuning.score_tokens import add_score_tokens

    # A tokenizer of its own: the teacher's must not learn the tokens before it is tuned.
    tokenizer = load_processor(teacher.checkpoint).tokenizer
    return add_score_tokens(tokenizer, count, where=teacher.checkpoint)


def _trainable(task: _Task, known_tokens: int) -> "tuple[TunedTeacher, Sight]":
    import torch

    from annotate.tuning.model import LowRank, TunedTeacher, load_weights
    from annotate.tuning.sight import Sight

    settings = task.settings
    model = load_weights(task.teacher.checkpoint, task.teacher.options.dtype)
    torch.manual_seed(settings.seed)  # the first weights of the updates and of the MLP
    tuned = TunedTeacher(
        model,
        LowRank(settings.rank, settings.alpha, settings.dropout, settings.modules),
        known_tokens=known_tokens,
        score_tokens=settings.score_tokens,
        hidden=settings.hidden,
        train_projector=settings.train_projector,
    )
    tuned.start_rows(task.question)
    return tuned, Sight(task.teacher, task.question, model)


def _train(task: _Task, tuned: "TunedTeacher", pictures: "Pictures") -> list[dict[str, float]]:
    from annotate.tuning.checkpoint import Checkpoint
    from annotate.tuning.training import Training

    settings, rated = task.settings, task.data.labelled
    checkpoint = Checkpoint(task.folder, every_s=settings.checkpoint_s)
    training = Training(tuned, pictures, rated, settings, checkpoint)
    planned = settings.epochs * len(rated)
    if training.resumed:
        say(f"going on after {training.done_images} of {planned} images")
    else:
        with progress(len(rated), label="look", unit="images") as bar:
            training.start(bar.advance)
    with progress(planned - training.done_images, label="tune", unit="images") as bar:
        for means in training.epochs(bar.advance):
            bar.note(f"loss {means[0]:.4f}")
    return [dict(zip(TERMS, means, strict=True)) for means in training.history]


def _finish(
    task: _Task, tuned: "TunedTeacher", pictures: "Pictures", losses: list[dict[str, float]]
) -> Tuned:
    from annotate.tuning.checkpoint import Checkpoint
    from annotate.tuning.held_out import measures, score_pictures
    from annotate.tuning.merged import write_merged

    data, folder, settings = task.data, task.folder, task.settings
    readout = write_merged(tuned, task.teacher, task.question, data.source, folder=folder)
    scores = score_pictures(
        tuned, readout, pictures, data.held_out.images, batch_size=settings.batch_size
    )
    done = Tuned(
        teacher_id=readout.teacher_id,
        prompt_id=readout.prompt_id,
        labelled=len(data.labelled),
        held_out=len(data.held_out),
        measures=measures(scores, data.held_out.mos),
        losses=losses,
    )
    write_atomically(folder / SUMMARY_FILE, json.dumps(done.as_dict(), indent=2).encode() + b"\n")
    Checkpoint(folder, every_s=settings.checkpoint_s).remove()
    return done


def _remove_left_over(folder: Path) -> None:
    """Delete what a killed tuning left under temporary names."""
    for path in folder.glob(f"{TEMPORARY_PREFIX}*"):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
