"""Train a whole checkpoint and save it, every file replaced whole."""

import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from transformers import InternVLForConditionalGeneration, InternVLProcessor

from annotate.prompts import shipped_prompt
from tools.tiny_teacher.answer_training import train_answers
from tools.tiny_teacher.architecture import make_model, make_processor
from tools.tiny_teacher.crop_pool import make_crop_pool
from tools.tiny_teacher.progress import Progress
from tools.tiny_teacher.questions import render_question
from tools.tiny_teacher.tokenizer import train_tokenizer
from tools.tiny_teacher.vision_pretraining import pretrain_vision


class Schedule(NamedTuple):
    """How long to train; the defaults of the command make the shipped checkpoint."""

    crops_each: int
    """Crops cut from each photograph."""
    vision_steps: int
    """Steps of the first stage."""
    answer_steps: int
    """Steps of the second stage."""


def train_checkpoint(
    photographs: Sequence[Path], out: Path, schedule: Schedule, *, seed: int, workers: int
) -> None:
    """Train the tiny teacher on photographs and save it to a folder.

    The same arguments give the same weights on one machine with one number of threads.

    Args:
        photographs: files to learn from.
        out: folder to write; files of an earlier checkpoint in it are replaced, others stay.
        schedule: how long to train.
        seed: of crops, initial weights and batches.
        workers: processes that cut crops.
    """
    pool = make_crop_pool(
        photographs, crops_each=schedule.crops_each, seed=seed, augment=True, workers=workers
    )
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    prompts = (shipped_prompt("point"), shipped_prompt("pair"))
    processor = make_processor(train_tokenizer(prompts))
    model = make_model(processor.tokenizer, generator)
    pretrain_vision(
        model.model.vision_tower,
        pool,
        steps=schedule.vision_steps,
        generator=generator,
        progress=Progress("vision tower", schedule.vision_steps),
    )
    train_answers(
        model,
        pool,
        (render_question(processor, prompts[0]), render_question(processor, prompts[1])),
        steps=schedule.answer_steps,
        generator=generator,
        progress=Progress("answers", schedule.answer_steps),
    )
    _save(model, processor, out)


def _save(model: InternVLForConditionalGeneration, processor: InternVLProcessor, out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}-") as fresh:
        model.to(torch.bfloat16).save_pretrained(fresh)
        processor.save_pretrained(fresh)
        for path in sorted(Path(fresh).iterdir()):
            shutil.move(path, out / path.name)
