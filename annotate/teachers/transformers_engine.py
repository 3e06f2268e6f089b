"""The fallback engine, and the oracle that the vLLM engine is compared with.

It answers one batch at a time in plain transformers: no continuous batching, no prefix cache.
"""

from collections.abc import Sequence
from pathlib import Path

import torch
import transformers
from transformers import AutoModelForImageTextToText

from annotate.label_tokens import label_logprobs
from annotate.teachers.chat import load_processor
from annotate.teachers.engine import EngineOptions, LabelAnswer, LabelRequest
from schemas.errors import EngineFailed, TeacherMissing

REQUESTS_PER_FORWARD = 16


class TransformersEngine:
    """A teacher run by transformers on the best device there is."""

    def __init__(self, checkpoint: Path, options: EngineOptions) -> None:
        self._device = "cuda" if torch.cuda.is_available() else "cpu"
        self._options = options
        self._processor = load_processor(checkpoint)
        transformers.utils.logging.disable_progress_bar()  # of loading; ours is the one to watch
        # The next token is read from the last position, so questions are padded on the left.
        self._processor.tokenizer.padding_side = "left"
        try:
            self._model = AutoModelForImageTextToText.from_pretrained(
                checkpoint,
                dtype=getattr(torch, options.dtype),
                local_files_only=True,
                trust_remote_code=False,
                use_safetensors=True,
            )
        except (OSError, ValueError) as error:
            raise TeacherMissing(
                f"the checkpoint cannot be loaded: {str(error).splitlines()[0]}",
                where=checkpoint,
                fix="give a folder with config.json and *.safetensors of a supported model",
            ) from error
        self._model.to(self._device).eval()

    @property
    def provenance(self) -> str:
        """Engine, version and hardware, for the footer of the shards."""
        hardware = torch.cuda.get_device_name() if self._device == "cuda" else "cpu"
        return (
            f"transformers {transformers.__version__}, torch {torch.__version__},"
            f" {self._options.dtype} on {hardware}"
        )

    def label_logprobs(self, requests: Sequence[LabelRequest]) -> list[LabelAnswer]:
        """Answer all requests, `REQUESTS_PER_FORWARD` at a time."""
        answers: list[LabelAnswer] = []
        for start in range(0, len(requests), REQUESTS_PER_FORWARD):
            answers += self._forward(requests[start : start + REQUESTS_PER_FORWARD])
        return answers

    def _forward(self, requests: Sequence[LabelRequest]) -> list[LabelAnswer]:
        tiles = self._options.max_tiles
        inputs = self._processor(
            text=[request.text for request in requests],
            images=[list(request.images) for request in requests],
            crop_to_patches=tiles > 1,
            max_patches=tiles,
            padding=True,
            return_tensors="pt",
            add_special_tokens=False,
        ).to(self._device, dtype=self._model.dtype)
        try:
            with torch.inference_mode():
                logits = self._model(**inputs, logits_to_keep=1).logits[:, -1]
        except torch.cuda.OutOfMemoryError as error:
            raise EngineFailed(
                "the GPU is out of memory",
                where=f"a batch of {len(requests)} questions",
                fix="give fewer tiles with --max-tiles, or use --engine vllm",
            ) from error
        # bf16 logits lie 0.125 apart near 20; the softmax is taken in float32 (docs/methods.md).
        logprobs = torch.log_softmax(logits.float(), dim=-1).cpu()
        lengths = inputs["attention_mask"].sum(dim=1).tolist()
        return [
            LabelAnswer(_read(row, request.label_token_ids), int(length), 0)
            for row, request, length in zip(logprobs, requests, lengths, strict=True)
        ]


def _read(row: torch.Tensor, ids_of_labels: tuple[tuple[int, ...], ...]) -> list[float]:
    wanted = [token for ids in ids_of_labels for token in ids]
    values = row[wanted].tolist()
    return label_logprobs(dict(zip(wanted, values, strict=True)), ids_of_labels)
