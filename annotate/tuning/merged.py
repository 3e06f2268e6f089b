"""The tuned teacher as an ordinary checkpoint: updates added to the weights, tokens to the words.

    FOLDER/config.json, model.safetensors, tokenizer.json, …   what `--model FOLDER` takes
    FOLDER/readout/                                            from its states to scores

It is made under a temporary name and moved in file by file, config.json last: a folder without it
is no checkpoint.
"""

import shutil
from pathlib import Path
from typing import Any

import torch

from annotate.questions import Question
from annotate.readouts.files import save_readout
from annotate.readouts.readout import LabelSource, Readout
from annotate.teachers.chat import load_processor
from annotate.teachers.teacher import Teacher, find_teacher
from annotate.tuning.model import TunedTeacher
from annotate.tuning.score_tokens import add_score_tokens
from data_store.files import TEMPORARY_PREFIX, flush

READOUT_FOLDER = "readout"
_LAST = "config.json"
_UNTOUCHED = (
    "processor_config.json",
    "preprocessor_config.json",
    "video_preprocessor_config.json",
    "generation_config.json",
    "chat_template.json",
    "chat_template.jinja",
)
"""Files of a checkpoint that tuning leaves as they are, where they exist."""


def write_merged(
    tuned: TunedTeacher, teacher: Teacher, question: Question, labels: LabelSource, *, folder: Path
) -> Readout:
    """Merge the updates into the weights and write the checkpoint with its readout.

    Args:
        tuned: its updates are merged for good; afterwards it answers as the checkpoint does, in
            the checkpoint's number format.
        teacher: who was tuned.
        question: what it was asked.
        labels: what it learnt from.
        folder: of the tuning.

    Returns:
        The readout of the tuned teacher's states.
    """
    made = folder / f"{TEMPORARY_PREFIX}merged"
    shutil.rmtree(made, ignore_errors=True)
    made.mkdir(parents=True)
    tokenizer = load_processor(teacher.checkpoint).tokenizer
    add_score_tokens(tokenizer, len(tuned.rows), where=teacher.checkpoint)
    tokenizer.save_pretrained(made)
    model = merge(tuned, teacher.options.dtype)
    model.save_pretrained(made)
    for name in _UNTOUCHED:
        if (teacher.checkpoint / name).is_file():
            shutil.copyfile(teacher.checkpoint / name, made / name)
    readout = _readout(tuned, made, teacher, question, labels)
    save_readout(readout, made / READOUT_FOLDER)
    _move_in(made, folder)
    return readout


def merge(tuned: TunedTeacher, dtype: str) -> Any:
    """Add the updates to the weights and the tokens' rows to the output matrix.

    Where the matrices of input and output are one, the tokens' inputs are these rows; else they
    are the mean of all known inputs. They are never read by a question of ours.

    Args:
        tuned: its teacher is changed.
        dtype: number format of the merged weights.

    Returns:
        The model as transformers knows it.
    """
    model, known = tuned.merge_updates(), tuned.known_tokens
    needed = known + len(tuned.rows)
    if needed > model.get_output_embeddings().weight.shape[0]:
        model.resize_token_embeddings(needed, mean_resizing=False)
    with torch.no_grad():
        inputs = model.get_input_embeddings().weight
        inputs[known:needed] = inputs[:known].float().mean(dim=0).to(inputs.dtype)
        outputs = model.get_output_embeddings().weight
        outputs[known:needed] = tuned.rows.to(outputs.dtype)
    return model.to(getattr(torch, dtype))


def run_like(teacher: Teacher) -> dict[str, Any]:
    """The options of `find_teacher` with which a checkpoint is run as this teacher is."""
    return {
        "dtype": teacher.options.dtype,
        "max_tiles": teacher.options.max_tiles,
        "decoding": teacher.spec.decoding,
    }


def _readout(
    tuned: TunedTeacher, made: Path, teacher: Teacher, question: Question, labels: LabelSource
) -> Readout:
    found = find_teacher(str(made), engine="transformers", **run_like(teacher))
    mean, deviation, layers = tuned.mlp.numbers()
    return Readout(
        "q_scorer",
        found.teacher_id,
        question.prompt_id,
        labels,
        mean=mean,
        deviation=deviation,
        layers=layers,
    )


def _move_in(made: Path, folder: Path) -> None:
    (folder / _LAST).unlink(missing_ok=True)
    for old in folder.glob("*.safetensors"):
        old.unlink()
    shutil.rmtree(folder / READOUT_FOLDER, ignore_errors=True)
    for path in sorted(made.iterdir(), key=lambda one: (one.name == _LAST, one.name)):
        for file in [path] if path.is_file() else path.iterdir():
            flush(file)
        path.replace(folder / path.name)
    made.rmdir()
    flush(folder)
