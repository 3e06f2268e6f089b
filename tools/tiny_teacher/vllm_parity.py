"""Ask the same questions through vLLM, to see that both engines answer alike."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from tools.tiny_teacher.judge import Answers, TinyTeacher
from tools.tiny_teacher.questions import Question

if TYPE_CHECKING:
    from vllm import LLM


def vllm_answers(
    folder: Path, teacher: TinyTeacher, images: Sequence[Image.Image], pairs: np.ndarray
) -> Answers:
    """What `TinyTeacher.answer` asks, through vLLM in float32.

    Set `VLLM_ENABLE_V1_MULTIPROCESSING=0` and `VLLM_CPU_KVCACHE_SPACE=1` before the process
    imports vLLM.

    Args:
        folder: the checkpoint.
        teacher: the same checkpoint with transformers; lends its rendered questions.
        images: N RGB images.
        pairs: (P, 2) int64, indices of images.
    """
    from vllm import LLM

    engine = LLM(
        str(folder),
        dtype="float32",
        enforce_eager=True,
        limit_mm_per_prompt={"image": 2, "video": 0},
        max_model_len=512,
        disable_log_stats=True,
    )
    points = _ask(engine, teacher.point, [[image] for image in images])
    orders = [
        _ask(engine, teacher.pair, [[images[i], images[j]] for i, j in order])
        for order in (pairs, pairs[:, ::-1])
    ]
    return Answers(level_logprobs=points, pair_logprobs=np.stack(orders, axis=1))


def _ask(engine: "LLM", question: Question, shown: Sequence[Sequence[Image.Image]]) -> np.ndarray:
    """(number of questions, K) log-probabilities of the labels."""
    from vllm import SamplingParams

    label_ids = question.label_ids.tolist()
    sampling = SamplingParams(max_tokens=1, temperature=0.0, logprob_token_ids=label_ids)
    requests = [
        {"prompt": question.text, "multi_modal_data": {"image": list(images)}} for images in shown
    ]
    outputs = engine.generate(requests, sampling, use_tqdm=False)
    rows = [output.outputs[0].logprobs[0] for output in outputs]
    return np.array([[row[label].logprob for label in label_ids] for row in rows], dtype=np.float32)
